"""What worker processes do first, tried in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgbatch.images.limits import Limits
from imgbatch.workers.process import worst_case_bytes


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )


def test_a_worker_leaves_signals_to_its_parent() -> None:
    run(
        "import os, signal; from imgbatch.workers.process import settle_in; settle_in()\n"
        "os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGTERM)"
    )


def test_what_native_code_says_goes_nowhere_and_what_python_says_does_not() -> None:
    finished = run(
        "import os, sys; from imgbatch.workers.process import settle_in; settle_in()\n"
        "os.write(2, b'a decoder is talking'); print('python', file=sys.stderr)"
    )
    assert finished.stderr == "python\n"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel for it")
def test_a_worker_dies_with_its_parent() -> None:
    child = (
        "import time; from imgbatch.workers.process import settle_in; settle_in()\n"
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


def test_what_asks_for_more_memory_than_it_may_gets_an_error() -> None:
    finished = run(
        "from imgbatch.workers.process import limit_address_space\n"
        "limit_address_space(100 << 20); kept = bytes(50 << 20)\n"
        "try:\n    bytes(60 << 20)\nexcept MemoryError:\n    print('no memory')"
    )
    assert finished.stdout == "no memory\n"


def test_the_limit_has_room_for_the_largest_image_and_is_no_more_than_the_machine_has() -> None:
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    small = Limits(max_pixels=1_000_000, max_bytes=1_000_000)
    assert small.memory_bytes + 2_000_000 < worst_case_bytes(small) < machine_bytes
    assert worst_case_bytes(Limits(max_pixels=10**12)) == machine_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel for it")
def test_where_the_machine_has_no_more_memory_a_worker_goes_first() -> None:
    finished = run(
        "import sys; from imgbatch.workers.process import settle_in; settle_in()\n"
        "print(open('/proc/self/oom_score_adj').read(), file=sys.stderr)"
    )
    assert int(finished.stderr) >= 500
