"""What a run asks of an engine, wherever its images are computed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from imgbatch.batch.model import Job, MachineUse, Outcome
from imgbatch.batch.tally import Tally
from imgbatch.recipe import Recipe


class JobSource(Protocol):
    """Where an engine takes its jobs from, by one thread; see `imgbatch.batch.plan.Planner`."""

    wake: int
    is_exhausted: bool

    def take(self, limit: int) -> list[Job]:
        """Return the next jobs that are known, `limit` at most, without waiting for any."""
        ...


class Listener(Protocol):
    """Who is told how a run goes on; called from one thread at a time.

    Its tally says how far the run is.
    """

    tally: Tally

    def finished(self, outcome: Outcome) -> None:
        """One job has ended; called exactly once for each."""
        ...

    def waiting(self, why: str | None) -> None:
        """Nothing moves, and why; None when it moves again."""
        ...

    def machines(self, machines: Sequence[MachineUse]) -> None:
        """Say which machines take part, and what each has done so far."""
        ...


@dataclass(slots=True)
class Stop:
    """How a run is told to end early.

    `gently` lets the images at hand finish; `now` does not wait for them.
    """

    gently: threading.Event = field(default_factory=threading.Event)
    now: threading.Event = field(default_factory=threading.Event)


class Engine(Protocol):
    """A place where a batch runs."""

    name: str

    def run(self, jobs: JobSource, recipe: Recipe, listener: Listener, stop: Stop) -> None:
        """Process every job, telling the listener of each as it ends.

        Jobs are taken as there is room for them; how many are in flight is bounded in bytes.
        Returns when every job that was taken has ended, or after `stop`.

        Raises
        ------
        EngineError
            If the run can't go on; jobs without an outcome are then not done.
        """
        ...
