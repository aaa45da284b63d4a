"""What worker processes do first, tried in processes of their own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgbatch.processes import describe_exit, log_to_stderr, resident_bytes


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )


def test_a_worker_leaves_signals_to_its_parent() -> None:
    run(
        "import os, signal; from imgbatch.processes import settle_in; settle_in()\n"
        "os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGTERM)"
    )


def test_what_native_code_says_goes_nowhere_and_what_python_says_does_not() -> None:
    finished = run(
        "import os, sys; from imgbatch.processes import settle_in; settle_in()\n"
        "os.write(2, b'a decoder is talking'); print('python', file=sys.stderr)"
    )
    assert finished.stderr == "python\n"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel for it")
def test_a_worker_dies_with_its_parent() -> None:
    child = (
        "import time; from imgbatch.processes import settle_in; settle_in()\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=-1)\n"
            "child.stdout.readline(); print(child.pid, flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait(30)
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while _is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("verbose", "shown"), [(False, "info\n"), (True, "info\ndebug\n")])
def test_the_log_is_ours_alone(verbose: bool, shown: str) -> None:
    finished = run(
        f"import logging; from imgbatch.processes import log_to_stderr; log_to_stderr({verbose})\n"
        "log = logging.getLogger('imgbatch.x'); log.info('info'); log.debug('debug')\n"
        "logging.getLogger('pika.connection').error('a traceback')"
    )
    lines = [line.split(" ", 3)[-1] for line in finished.stderr.splitlines()]
    assert "".join(f"{line}\n" for line in lines) == shown


def test_logging_twice_says_everything_once(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        log_to_stderr(verbose=False)
        log_to_stderr(verbose=False)
        assert len(root.handlers) == 1
    finally:
        root.handlers, root.level = handlers, level
        logging.getLogger("pika").setLevel(logging.NOTSET)


def test_a_process_holds_memory_and_one_that_is_gone_does_not(tmp_path: Path) -> None:
    before = resident_bytes(os.getpid())
    ballast = os.urandom(32 * 2**20)
    assert resident_bytes(os.getpid()) - before > len(ballast) // 2
    assert before > 2**20
    assert resident_bytes(os.getpid(), str(tmp_path)) == 0
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "statm").write_text("garbage")
    assert resident_bytes(7, str(tmp_path)) == 0
    (tmp_path / "7" / "statm").write_text("1000 10 0 0 0 0 0\n")
    assert resident_bytes(7, str(tmp_path)) == 10 * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "was killed"),
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-signal.SIGSEGV, "was killed by SIGSEGV"),
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-63, "was killed by signal 63"),
    ],
)
def test_how_a_process_ended_in_words(code: int | None, words: str) -> None:
    assert describe_exit(code) == words
