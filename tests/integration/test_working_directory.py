"""A folder of photographs may hold anything, and programs are started there: nothing of it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.brokers import Broker
from tests.support.photos import fill
from tests.support.programs import PATIENCE_SECONDS, environment
from tests.support.rights import SERVER, as_user

OTHERS = {
    "cv2", "deflate", "imgbatch", "imgbatch_kernels", "isal", "jinja2", "llvmlite", "markupsafe",
    "msgpack", "numba", "numpy", "pika", "PIL", "prometheus_client", "rich", "simplejpeg",
    "sitecustomize", "usercustomize", "watchdog", "watchfiles", "xxhash", "click",
}  # fmt: skip

PHOTOGRAPHS = ("--include", "*.jpg")
"""The page shows a sample of the run's files, of which these would be few."""


class Trap:
    """A folder with photographs, and with a file for each module that Python could look for."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "photos"
        self.programs = tmp_path / "bin"
        self.sprung = tmp_path / "sprung"
        fill(self.folder, 2)
        code = f"with open({str(self.sprung)!r}, 'a') as note: note.write(__name__ + ' ')\n"
        for name in sys.stdlib_module_names | OTHERS:
            (self.folder / f"{name}.py").write_text(code)
        self.programs.mkdir()

    def command(self, program: str, *words: str | Path) -> list[str]:
        """Return the command that starts a program as pip installs it, from a script of its own."""
        script = self.programs / program
        script.write_text(
            f"import sys\nfrom imgbatch.cli.{program} import main\n"
            "if __name__ == '__main__':\n    sys.exit(main())\n"
        )
        return [sys.executable, str(script), *map(str, words)]

    def environment(self) -> dict[str, str]:
        env = environment()
        env.pop("PYTHONSAFEPATH", None)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, env["PYTHONPATH"].split(os.pathsep)))
        return env

    def run(self, program: str, *words: str | Path) -> None:
        done = subprocess.run(
            self.command(program, *words),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def running(self, program: str, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        log = self.programs / f"{program}.log"
        with log.open("w") as said:
            process = subprocess.Popen(
                self.command(program, *words),
                cwd=self.folder,
                env=self.environment(),
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_SECONDS)

    def assert_untouched(self) -> None:
        assert not self.sprung.exists(), f"imported: {self.sprung.read_text()}"


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path.resolve())


def test_the_trap_works(trap: Trap) -> None:
    subprocess.run([sys.executable, "-m", "simplejpeg"], cwd=trap.folder, check=False)
    with pytest.raises(AssertionError, match="imported"):
        trap.assert_untouched()


def test_a_run_with_its_page_imports_nothing_from_where_it_is_started(trap: Trap) -> None:
    out = trap.folder.parent / "out"
    trap.run("client", ".", out, "--contrast", "10", *PHOTOGRAPHS)
    assert "<figure" in (out / "imgbatch-report.html").read_text()
    trap.assert_untouched()


def test_a_preview_imports_nothing_from_where_it_is_started(trap: Trap) -> None:
    trap.run("preview", ".", "--sheet", trap.folder.parent / "sheet.jpg")
    with trap.running("preview", ".", "--no-browser") as preview:
        assert preview.stdout is not None
        address = preview.stdout.readline().strip()
        with urllib.request.urlopen(address + "photo/0/facts.json", timeout=60) as answer:
            assert answer.status == 200
    trap.assert_untouched()


@pytest.mark.broker
def test_a_server_and_its_clients_import_nothing_from_where_they_are_started(
    trap: Trap, broker: Broker
) -> None:
    place = broker.place()
    out = trap.folder.parent / "out"
    with trap.running("server", "--broker", as_user(place.url, SERVER), "--procs", "1"):
        trap.run("client", ".", out, "--broker", place.url, *PHOTOGRAPHS)
        trap.run("status", "--broker", place.url)
    assert "<figure" in (out / "imgbatch-report.html").read_text()
    trap.assert_untouched()
