"""How far a run has come, for those who watch it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from imgbatch.batch.model import MachineUse, Status


@dataclass(slots=True)
class Tally:
    """Counts that grow while a run goes on; written by its threads, read by a display.

    Parameters
    ----------
    planned_files, planned_bytes
        What the scan has found so far.
    plan_complete
        Whether it has found all.
    earlier_files
        Those that an earlier run had done.
    done_files, done_bytes
        What has ended, in whatever way; sizes of the sources.
    ended
        How it ended.
    bytes_out
        Sizes of the results.
    waiting
        Why nothing moves, if nothing moves.
    machines
        Who takes part.
    batch
        What servers call the run.
    """

    planned_files: int = 0
    planned_bytes: int = 0
    plan_complete: bool = False
    earlier_files: int = 0
    done_files: int = 0
    done_bytes: int = 0
    ended: Counter[Status] = field(default_factory=Counter)
    bytes_out: int = 0
    waiting: str | None = None
    machines: Sequence[MachineUse] = ()
    batch: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def plan(self, files: int, size_bytes: int) -> None:
        """Count files that were planned."""
        with self._lock:
            self.planned_files += files
            self.planned_bytes += size_bytes

    def end(self, status: Status, size_bytes: int, bytes_out: int, *, earlier: bool) -> None:
        """Count a file that has ended, in this run or in an earlier one."""
        with self._lock:
            self.done_files += 1
            self.done_bytes += size_bytes
            self.earlier_files += earlier
            self.ended[status] += 1
            self.bytes_out += bytes_out
