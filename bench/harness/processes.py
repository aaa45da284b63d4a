"""Whole processes: run one and time it, or keep one in the background."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IN_MEMORY = Path("/dev/shm")  # a folder of ours is made in it
SCRATCH_BYTES = 4_000_000_000
"""Room that the largest suite needs: 100,000 tiny files, twice."""
READY_SECONDS = 120.0

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Run:
    """What a process cost: seconds from start to end, and CPU time with that of its children."""

    seconds: float
    cpu_seconds: float


def python(module: str, *words: str) -> tuple[str, ...]:
    return sys.executable, "-m", module, *words


def program(name: str, *words: str) -> tuple[str, ...]:
    """Return the command of a program that is installed beside this interpreter."""
    return str(Path(sys.executable).parent / name), *words


def start(command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
    """Start a command, with the project in reach, that prints to an open file."""
    environment, quiet = {**os.environ, "PYTHONPATH": str(ROOT)}, subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=quiet, stdout=log, stderr=log)


def measure(command: Sequence[str], output: Path, images: int = 0) -> Run:
    """Run a command that writes `images` images into the folder `output`, which is emptied first.

    If it fails, or writes another number, it is a RuntimeError: such a time would mean nothing.
    """
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = start(command, log.fileno())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        written = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in output.glob("*"))
        if process.returncode != 0 or written != images:
            raise RuntimeError(
                f"{' '.join(command)}:\n{printed(log.fileno())}\n"
                f"exit code {process.returncode}, {written} of {images} images written"
            )
    return Run(seconds, usage.ru_utime + usage.ru_stime)


@contextmanager
def background(command: Sequence[str], ready: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Keep a command running for as long as the block lasts, once it has printed `ready`."""
    with tempfile.TemporaryFile() as log:
        process = start(command, log.fileno())
        deadline = time.monotonic() + READY_SECONDS
        try:
            while ready not in printed(log.fileno()):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} was never ready:\n{printed(log.fileno())}")
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def printed(log: int) -> str:
    """Return the last lines that a process has printed."""
    size = os.fstat(log).st_size
    return os.pread(log, 3000, max(0, size - 3000)).decode(errors="replace").strip()


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder for outputs: in ``IMGBATCH_BENCH_SCRATCH``, in memory, or with temporary files.

    In memory where there is room: a run writes 100 to 200 MB, and while a disk takes those of the
    runs before, the next takes up to 25 % longer, whichever it is.
    """
    chosen = os.environ.get("IMGBATCH_BENCH_SCRATCH")
    if chosen is None and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > SCRATCH_BYTES:
        chosen = str(IN_MEMORY)
    with tempfile.TemporaryDirectory(prefix="imgbatch-bench-", dir=chosen) as folder:
        yield Path(folder)
