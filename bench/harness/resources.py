"""What processes hold and use, read from /proc while they live."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.harness.processes import background

SAMPLING_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Peaks:
    """The most memory that a process, and the largest of its descendants, has held."""

    parent_bytes: int = 0
    child_bytes: int = 0


def peak_bytes(pid: int) -> int:
    """Return the most memory a process has held so far; 0 once it is gone."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, with that of its children that it has waited for."""
    words = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in words[11:15]) / _TICKS


def family(pid: int) -> list[int]:
    """Return a process and all its living descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            found += family(int(child))
    return found


def peaks_of(command: Sequence[str], output: Path) -> Peaks:
    """Run a command that fills a folder, and return the most memory that it and its children held.

    The kernel keeps the peak itself, so nothing between two samples is missed, only what a
    process allocates in its last moments.
    """
    shutil.rmtree(output, ignore_errors=True)
    peaks = Peaks()
    with background(command) as process:
        while process.poll() is None:
            peaks.parent_bytes = max(peaks.parent_bytes, peak_bytes(process.pid))
            for child in family(process.pid)[1:]:
                peaks.child_bytes = max(peaks.child_bytes, peak_bytes(child))
            time.sleep(SAMPLING_SECONDS)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with exit code {process.returncode}")
    return peaks


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # the process has ended
        return ""
