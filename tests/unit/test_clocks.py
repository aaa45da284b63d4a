"""Which clocks are read where: a timer that reads the wall clock breaks when that is set."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCES = [Path(__file__).parents[2] / folder for folder in ("src/imgbatch", "kernels")]
WALL_CLOCKS = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime"}
ALLOWED = {"run.py", "metrics.py"}
"""The report says when its run began, and the figures of a run when it ended."""


def wall_clocks_read(source: str) -> Iterator[str]:
    """Yield each call of a function of ``time`` or ``datetime`` that tells the time of day."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if node.func.attr in WALL_CLOCKS and owner.split(".")[-1] in {
                "time",
                "datetime",
                "date",
            }:
                yield ast.unparse(node.func)
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (name.name for name in node.names if name.name in WALL_CLOCKS)


def test_the_search_finds_what_it_looks_for() -> None:
    source = (
        "import time, datetime\nfrom time import time_ns\ntime.time()\ndatetime.datetime.now()\n"
    )
    assert sorted(wall_clocks_read(source)) == ["datetime.datetime.now", "time.time", "time_ns"]
    assert list(wall_clocks_read("time.monotonic(); self.time()")) == []


def test_no_timer_reads_the_wall_clock() -> None:
    files = [path for folder in SOURCES for path in folder.rglob("*.py")]
    assert len(files) > 80
    found = {path.name for path in files if [*wall_clocks_read(path.read_text())]}
    assert found == ALLOWED
