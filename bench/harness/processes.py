"""Whole processes: run one and time it, or keep one in the background."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IN_MEMORY = Path("/dev/shm")  # a folder of ours is made in it, by mkdtemp
SCRATCH_BYTES = 4_000_000_000
"""Room that the largest suite needs: 100,000 tiny files, twice."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Run:
    """What a process cost.

    Parameters
    ----------
    seconds
        From its start to its end.
    cpu_seconds
        User and system time, its waited-for children's included.
    """

    seconds: float
    cpu_seconds: float


def python(module: str, *words: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *words]


def program(name: str, *words: str) -> list[str]:
    """Return the command of a program that is installed beside this interpreter."""
    return [str(Path(sys.executable).parent / name), *words]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of what is measured: ours, with the project in reach."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})}


def measure(
    command: Sequence[str], output: Path, images: int, extra: Mapping[str, str] | None = None
) -> Run:
    """Run a command that writes `images` images into the folder `output`, which is emptied first.

    Raises
    ------
    RuntimeError
        If it fails, or writes another number of images: such a time would mean nothing.
    """
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        written = count_images(output)
        if process.returncode != 0 or written != images:
            log.seek(0)
            told = log.read().decode(errors="replace").strip()[-3000:]
            raise RuntimeError(
                f"{' '.join(command)}:\n{told}\n"
                f"exit code {process.returncode}, {written} of {images} images written"
            )
    return Run(seconds, usage.ru_utime + usage.ru_stime)


def count_images(folder: Path) -> int:
    """Return the number of image files directly in a folder; 0 if there is none."""
    if not folder.is_dir():
        return 0
    return sum(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())


def is_in_memory(folder: Path) -> bool:
    """Whether what is written to a folder goes to no disk."""
    return folder.is_relative_to(IN_MEMORY)


def _memory_folder() -> Path | None:
    if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > SCRATCH_BYTES:
        return IN_MEMORY
    return None


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder for outputs: in ``IMGBATCH_BENCH_SCRATCH``, in memory, or with temporary files.

    In memory where there is room: a run writes 100 to 200 MB, and while a disk takes those of the
    runs before, the next takes up to 25 % longer, whoever's turn it is.
    """
    chosen = os.environ.get("IMGBATCH_BENCH_SCRATCH") or _memory_folder()
    folder = Path(tempfile.mkdtemp(prefix="imgbatch-bench-", dir=chosen))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def background(
    command: Sequence[str], ready: str | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Keep a command running for as long as the block lasts, once it has printed `ready`."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(extra),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    try:
        _await_line(process, ready)
        reader.start()  # a full pipe would stop the process
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if reader.is_alive():
            reader.join()
        process.stdout.close()


def _await_line(process: subprocess.Popen[str], ready: str | None) -> None:
    assert process.stdout is not None
    seen: list[str] = []
    if ready is not None:
        for line in process.stdout:
            seen.append(line)
            if ready in line:
                break
        else:
            raise RuntimeError(f"{process.args} ended before it was ready:\n{''.join(seen)}")
