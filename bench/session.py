"""One session of measuring: its sets, its broker, its races, and what it found."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.support.rabbitmq import Node, private_node

from bench.contenders import LOCAL, Contender, distributed, servers_for
from bench.datasets.folders import Sets
from bench.harness.machine import machine, versions
from bench.harness.processes import IN_MEMORY, scratch
from bench.harness.ratios import in_turn
from bench.harness.results import Race, Results


class Pace(StrEnum):
    """How thorough a session is."""

    WHOLE = "whole"
    BRIEF = "brief"  # whole sets, three rounds, without those that take a minute each
    QUICK = "quick"  # a tenth of each set, two rounds: to see that everything works


MOST_ROUNDS = {Pace.WHOLE: 100, Pace.BRIEF: 3, Pace.QUICK: 2}
SLOW_ROUNDS = 3
"""Contenders that are given no more rounds than this are the slow ones."""
TOO_SLOW = "too slow for a brief session"


@dataclass(slots=True)
class Session:
    """What all suites share."""

    sets: Sets
    results: Results
    pace: Pace
    cores: int
    output: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _node: Node | None = None

    def rounds(self, whole: int) -> int:
        """Return how often something runs, of the rounds that a whole session gives it."""
        return min(whole, MOST_ROUNDS[self.pace])

    def node(self) -> Node:
        """Return the session's broker, with the memory that RabbitMQ takes by default."""
        if self._node is None:
            self._node = self._stack.enter_context(private_node())
            self._node.control("set_vm_memory_high_watermark", "0.4")
        return self._node

    def race_locally(self, set_name: str, rounds: Mapping[str, int]) -> None:
        """Race programs of this machine, each for its number of rounds, on a set."""
        self._race(f"local/{set_name}", LOCAL, rounds, set_name)

    def race_through_broker(self, set_name: str, rounds: Mapping[str, int]) -> None:
        """Race programs that share the session's broker, each with its own server waiting."""
        url = self.node().url
        with ExitStack() as stack:
            for name in rounds:
                stack.enter_context(servers_for(name, url, self.cores))
            self._race(f"broker/{set_name}", distributed(url), rounds, set_name)

    def _race(
        self,
        race_name: str,
        known: Mapping[str, Contender],
        rounds: Mapping[str, int],
        set_name: str,
    ) -> None:
        folder, smallest = self.sets.folder(set_name), self.sets.smallest(set_name)
        race = self.results.races[race_name] = Race({})
        runs: dict[str, Callable[[], float]] = {}
        for name, most in rounds.items():
            contender = known[name]
            if self.pace is Pace.BRIEF and most <= SLOW_ROUNDS:
                race.skipped[name] = TOO_SLOW
                continue
            try:
                contender.run(smallest, self.output)
            except RuntimeError as error:  # most likely, it is not installed
                race.failed[name] = f"its first run failed: {' '.join(str(error).split())[-200:]}"
                continue
            race.images[name] = contender.images(folder)
            runs[name] = lambda contender=contender: contender.run(folder, self.output).seconds
        race.seconds.update(in_turn(runs, {name: self.rounds(rounds[name]) for name in runs}))


@contextmanager
def session(pace: Pace, photos: Path | None) -> Iterator[Session]:
    """Open a session and stop its broker at the end."""
    with scratch() as workspace, ExitStack() as stack:
        results = Results(
            machine={
                **machine(),
                "outputs_on": "memory" if workspace.is_relative_to(IN_MEMORY) else "disk",
            },
            versions=versions(),
            taken=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
            pace=pace,
            photos="stand-ins" if photos is None else "a folder of photographs",
        )
        sets = Sets(workspace, pace is Pace.QUICK, photos)
        cores = len(os.sched_getaffinity(0))
        yield Session(sets, results, pace, cores, workspace / "output", stack)
