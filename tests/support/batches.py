"""Jobs and listeners for those who test engines."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imgbatch.batch.model import Job, MachineUse, Outcome
from imgbatch.engines.base import Progress


def jobs_of(sources: Iterable[Path], target: Path) -> Iterator[Job]:
    """Yield a job for each source, with its result in one folder."""
    for index, source in enumerate(sources):
        seen = source.stat()
        yield Job(index, source, target / source.name, seen.st_size, seen.st_mtime_ns, seen.st_mode)


@dataclass
class Notes:
    """A listener that writes down what it is told."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    told_twice: list[int] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    seen_machines: list[Sequence[MachineUse]] = field(default_factory=list)
    first: threading.Event = field(default_factory=threading.Event)
    so_far: Progress | None = None

    def finished(self, outcome: Outcome) -> None:
        if outcome.index in self.outcomes:
            self.told_twice.append(outcome.index)
        self.outcomes[outcome.index] = outcome
        self.first.set()

    def waiting(self, why: str | None) -> None:
        self.reasons.append(why)

    def progress(self) -> Progress:
        return self.so_far or Progress(len(self.outcomes), False, len(self.outcomes), 0)

    def machines(self, machines: Sequence[MachineUse]) -> None:
        self.seen_machines.append(machines)
