"""Jobs and listeners for those who test engines."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from imgbatch.batch.model import Job, MachineUse, Outcome
from imgbatch.batch.tally import Tally


def jobs_of(sources: Iterable[Path], target: Path) -> Iterator[Job]:
    """Yield a job for each source, with its result in one folder."""
    for index, source in enumerate(sources):
        seen = source.stat()
        yield Job(index, source, target / source.name, seen.st_size, seen.st_mtime_ns, seen.st_mode)


class ListedJobs:
    """A source of jobs that are known, as `imgbatch.engines.base.JobSource` describes it.

    If there is a `late` one, it is known once `find` is called.
    """

    def __init__(self, jobs: Iterable[Job], late: Job | None = None) -> None:
        self._jobs = iter(jobs)
        self._late = late
        self.wake = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_exhausted = False

    def take(self, limit: int) -> list[Job]:
        with suppress(BlockingIOError):
            os.eventfd_read(self.wake)
        jobs = list(islice(self._jobs, limit))
        self.is_exhausted = len(jobs) < limit and self._late is None
        return jobs

    def find(self) -> None:
        """Have the late job as well."""
        assert self._late is not None
        self._jobs, self._late = iter([self._late]), None
        os.eventfd_write(self.wake, 1)

    def __del__(self) -> None:
        os.close(self.wake)


@dataclass
class Notes:
    """A listener that writes down what it is told."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    told_twice: list[int] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    seen_machines: list[Sequence[MachineUse]] = field(default_factory=list)
    first: threading.Event = field(default_factory=threading.Event)
    tally: Tally = field(default_factory=lambda: Tally(plan_complete=True))

    def finished(self, outcome: Outcome) -> None:
        if outcome.index in self.outcomes:
            self.told_twice.append(outcome.index)
        self.outcomes[outcome.index] = outcome
        self.tally.planned_files = self.tally.done_files = len(self.outcomes)
        self.first.set()

    def waiting(self, why: str | None) -> None:
        self.reasons.append(why)

    def machines(self, machines: Sequence[MachineUse]) -> None:
        self.seen_machines.append(machines)
