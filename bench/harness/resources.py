"""What processes hold and use, read from /proc while they live."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from bench.harness.processes import background

SAMPLING_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """Return the most memory a process has held so far; 0 once it is gone."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants, ended ones that were waited for too."""
    stats = [_read(f"/proc/{member}/stat").rpartition(")")[2].split() for member in family(pid)]
    return sum(int(ticks) for words in stats for ticks in words[11:15]) / _TICKS


def family(pid: int) -> list[int]:
    """Return a process and all its living descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            found += family(int(child))
    return found


def peaks_of(command: Sequence[str], output: Path) -> tuple[int, int]:
    """Run a command that fills a folder; return the most bytes that it, and a child of it, held.

    The kernel keeps the peak itself, so nothing between two samples is missed, only what a
    process allocates in its last moments.
    """
    shutil.rmtree(output, ignore_errors=True)
    parent = largest_child = 0
    with background(command) as process:
        while process.poll() is None:
            parent = max(parent, peak_bytes(process.pid))
            largest_child = max(largest_child, *map(peak_bytes, family(process.pid)[1:]), 0)
            time.sleep(SAMPLING_SECONDS)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with exit code {process.returncode}")
    return parent, largest_child


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # the process has ended
        return ""
