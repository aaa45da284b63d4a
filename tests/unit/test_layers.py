"""The shape of the house, read from its sources: who may import whom, and what comes late."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "src" / "imgbatch"
KERNELS = PROJECT / "kernels" / "imgbatch_kernels"

LAYERS = [
    {"errors", "version", "buffer", "histograms", "logs", "text"},
    {"adjustment", "cores"},
    {"recipe"},
    {"images", "protocol", "storage"},
    {"pipeline"},
    {"fingerprint"},
    {"batch", "broker", "workers"},
    {"engines", "server", "fleet_status"},
    {"settings"},
    {"run"},
    {"preview"},
    {"cli"},
]
"""From the lowest up. What stands together knows nothing of each other."""

HEAVY = {
    "numba", "cv2", "pika", "PIL", "simplejpeg", "rich", "watchfiles", "jinja2", "obstore",
}  # fmt: skip
"""Too slow to import for those who may not need it: only inside functions."""

LATE = {"broker", "fingerprint.py", "images", "pipeline.py", "server"}
"""Packages that are only imported late themselves, and may be heavy at once."""


@dataclass(frozen=True)
class Import:
    """One import: by which file, of which module, and whether as soon as that file is."""

    path: Path
    module: str
    at_once: bool


def imports_of(path: Path) -> Iterator[Import]:
    """Yield what a file imports, but what only type checkers see."""
    yield from _imports(path, ast.parse(path.read_text()).body, at_once=True)


def _imports(path: Path, nodes: list[ast.stmt], *, at_once: bool) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (Import(path, alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it leads"
            yield from (Import(path, f"{node.module}.{it.name}", at_once) for it in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            children = [it for it in ast.walk(node) if it is not node and isinstance(it, ast.stmt)]
            direct = [it for it in children if isinstance(it, ast.Import | ast.ImportFrom)]
            function_bodies = {
                id(inner)
                for it in [node, *children]
                if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)
                for inner in ast.walk(it)
            }
            for each in direct:
                late = inside or id(each) in function_bodies
                yield from _imports(path, [each], at_once=at_once and not late)


def all_imports(root: Path) -> list[Import]:
    return [found for path in sorted(root.rglob("*.py")) for found in imports_of(path)]


def layer_of(name: str) -> int:
    found = [number for number, names in enumerate(LAYERS) if name in names]
    assert found, f"{name} has no place in LAYERS"
    return found[0]


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_part_of_the_package_has_its_layer() -> None:
    parts = {part_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert parts <= set().union(*LAYERS)


def test_imports_run_downwards_only() -> None:
    wrong = []
    for found in all_imports(PACKAGE):
        words = found.module.split(".")
        part = part_of(found.path)
        if words[0] != "imgbatch" or part == "__init__" or len(words) == 1:
            continue
        other = words[1]
        if other in {part, "__version__"}:
            continue
        if layer_of(other) >= layer_of(part):
            wrong.append(f"{found.path.relative_to(PACKAGE)} imports {found.module}")
    assert wrong == []


def module_graph(root: Path) -> dict[Path, set[Path]]:
    """Return which files of a package import which, as soon as they are or later."""
    graph: dict[Path, set[Path]] = {path: set() for path in root.rglob("*.py")}
    for found in all_imports(root):
        package, *steps = found.module.split(".")
        if package != root.name:
            continue
        for count in range(len(steps), 0, -1):
            below = root.joinpath(*steps[:count])
            file = below / "__init__.py" if below.is_dir() else below.with_suffix(".py")
            if file in graph:
                graph[found.path].add(file)
                break
    return graph


@pytest.mark.parametrize("root", [PACKAGE, KERNELS], ids=["imgbatch", "kernels"])
def test_no_files_import_each_other_in_a_circle(root: Path) -> None:
    graph = module_graph(root)
    while True:
        imported = set().union(*graph.values())
        ends = {path for path, others in graph.items() if not others or path not in imported}
        if not ends:
            break
        graph = {path: others - ends for path, others in graph.items() if path not in ends}
    circle = {path.name: sorted(it.name for it in others) for path, others in graph.items()}
    assert circle == {}


def test_the_engines_know_nothing_of_each_other() -> None:
    for one, other in (("local", "rabbitmq"), ("rabbitmq", "local")):
        modules = [found.module for found in all_imports(PACKAGE / "engines" / one)]
        assert not [module for module in modules if f"engines.{other}" in module]


def test_kernels_know_only_arrays() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "numba", "llvmlite", "imgbatch_kernels"}
    for found in all_imports(KERNELS):
        top = found.module.partition(".")[0]
        if found.path.name == "reference.py" and top == "cv2":
            continue
        assert top in allowed, f"{found.path.name} imports {found.module}"


@pytest.mark.parametrize("name", ["pika", "numpy", "socket", "time", "os", "pathlib", "threading"])
def test_the_protocol_touches_nothing_of_the_world(name: str) -> None:
    modules = {found.module.partition(".")[0] for found in all_imports(PACKAGE / "protocol")}
    assert name not in modules


def test_pika_is_known_in_one_place_only() -> None:
    users = {found.path for found in all_imports(PACKAGE) if found.module.startswith("pika")}
    assert {part_of(path) for path in users} == {"broker"}


def test_heavy_modules_are_imported_late() -> None:
    early = [
        f"{found.path.relative_to(PACKAGE)} imports {found.module}"
        for found in all_imports(PACKAGE)
        if found.at_once
        and found.module.partition(".")[0] in HEAVY
        and found.path.relative_to(PACKAGE).parts[0] not in LATE
    ]
    assert early == []


def test_no_interpreter_is_started_that_looks_for_modules_in_the_current_folder() -> None:
    for path in (*PACKAGE.rglob("*.py"), *KERNELS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.List) and "sys.executable" in ast.unparse(node):
                words = [ast.unparse(element) for element in node.elts]
                after = words[words.index("sys.executable") + 1]
                assert after == "'-P'", f"{path}: line {node.lineno} starts Python without -P"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("imgbatch", {"numpy", "cv2", "numba", "pika"}),
        ("imgbatch.run", {"numpy", "cv2", "numba", "pika", "rich"}),
        ("imgbatch.cli.client", {"numpy", "cv2", "numba", "pika", "rich", "multiprocessing"}),
        # What the client imports before its first worker is started, and the worker itself.
        ("imgbatch.cli.client", {"sqlite3", "hashlib", "tempfile", "json", "imgbatch.run"}),
        ("imgbatch.workers.forkserver", {"sqlite3", "hashlib", "tempfile", "json", "numpy"}),
        ("imgbatch.engines.local.engine", {"numpy", "cv2", "PIL"}),
        ("imgbatch.engines.local.worker", {"numba", "llvmlite", "cv2", "logging"}),
        ("imgbatch.engines.rabbitmq", {"numpy", "cv2", "numba"}),
        ("imgbatch.protocol", {"numpy", "pika"}),
    ],
)
def test_what_is_not_needed_is_not_loaded(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    # Whoever measures coverage loads modules of his own into every process.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain
    )
    assert absent & set(done.stdout.split()) == set()


def sources(root: Path) -> list[Path]:
    """Return the files that have functions in them."""
    found = sorted(root.rglob("*.py"))
    return [path for path in found if path.name != "__init__.py" and "def " in path.read_text()]


@pytest.mark.parametrize("root", [PACKAGE, KERNELS], ids=["imgbatch", "kernels"])
def test_files_and_functions_stay_small(root: Path) -> None:
    for path in sources(root):
        text = path.read_text()
        assert len(text.splitlines()) <= 500, f"{path} is long"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.body[0].lineno
                docstring = node.body[0] if ast.get_docstring(node) else None
                if docstring is not None:
                    lines -= (docstring.end_lineno or 0) - docstring.lineno
                assert lines <= 60, f"{path}: {node.name} is long"
