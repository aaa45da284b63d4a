"""What processes hold and use, read from /proc while they live."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """Return the most memory a process has held so far; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, with that of its children that it has waited for."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in words[11:15]) / _TICKS


def family(pid: int) -> list[int]:
    """Return a process and all its living descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def family_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants."""
    return sum(cpu_seconds(member) for member in family(pid))


@dataclass(slots=True)
class Peaks:
    """The most memory that a process, and the largest of its descendants, has held."""

    parent_bytes: int = 0
    child_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def look(self, pid: int) -> None:
        """Take one sample."""
        self.parent_bytes = max(self.parent_bytes, peak_bytes(pid))
        for child in family(pid)[1:]:
            self.child_bytes = max(self.child_bytes, peak_bytes(child))


@contextmanager
def watched(pid: int, interval_seconds: float = 0.05) -> Iterator[Peaks]:
    """Sample a process and its descendants as long as the block lasts.

    The kernel keeps the peak itself, so nothing between two samples is missed, only what a
    process allocates in its last moments.
    """
    peaks = Peaks()

    def sample() -> None:
        while not peaks._stop.wait(interval_seconds):
            peaks.look(pid)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        peaks._stop.set()
        thread.join()
