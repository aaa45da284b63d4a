"""One session of measuring: its sets, its broker, and the races it has run so far."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.support.rabbitmq import Node, private_node

from bench.contenders import LOCAL, Contender, distributed, servers_for
from bench.harness.jobs import Folder, Sets
from bench.harness.machine import machine, versions
from bench.harness.processes import is_in_memory
from bench.harness.results import Measure, Race, Results
from bench.harness.turns import in_turn


class Pace(StrEnum):
    """How thorough a session is."""

    WHOLE = "whole"
    BRIEF = "brief"  # whole sets, three rounds, without those who take a minute each
    QUICK = "quick"  # a tenth of each set, two rounds: to see that everything works


MOST_ROUNDS = {Pace.WHOLE: 100, Pace.BRIEF: 3, Pace.QUICK: 2}
SLOW_ROUNDS = 3
"""Contenders that are given no more rounds than this are the slow ones."""


@dataclass(slots=True)
class Session:
    """Runs each race once, however many tests ask for it."""

    sets: Sets
    results: Results
    pace: Pace
    cores: int
    _stack: ExitStack = field(default_factory=ExitStack)
    _node: Node | None = None

    def rounds(self, whole: int) -> int:
        """Return how often something runs, of the rounds that a whole session gives it."""
        return min(whole, MOST_ROUNDS[self.pace])

    def sits_out(self, rounds: int) -> bool:
        """Whether something with so few rounds is too slow for this session."""
        return self.pace is Pace.BRIEF and rounds <= SLOW_ROUNDS

    def node(self) -> Node:
        """Return the session's broker, with the memory that RabbitMQ takes by default."""
        if self._node is None:
            self._node = self._stack.enter_context(private_node())
            self._node.control("set_vm_memory_high_watermark", "0.4")
        return self._node

    def race(self, name: str, run: Callable[[], Race]) -> Race:
        """Return a race of this session, running it first if that was not done."""
        if name not in self.results.races:
            self.results.races[name] = run()
        return self.results.races[name]

    def local_race(self, set_name: str, rounds: Mapping[str, int]) -> Race:
        """Race programs of this machine, each for its number of rounds, on a set."""
        name = f"local/{set_name}"
        chosen = {contender: LOCAL[contender] for contender in rounds}
        return self.race(name, lambda: self._raced(name, chosen, rounds, set_name))

    def broker_race(self, set_name: str, rounds: Mapping[str, int]) -> Race:
        """Race programs that share the session's broker, each with its own server waiting."""
        return self.race(
            f"broker/{set_name}", lambda: self._broker_raced(f"broker/{set_name}", rounds, set_name)
        )

    def _broker_raced(self, name: str, rounds: Mapping[str, int], set_name: str) -> Race:
        url = self.node().url
        chosen = {contender: distributed(url)[contender] for contender in rounds}
        with ExitStack() as stack:
            for contender in chosen.values():
                if contender.missing() is None:
                    stack.enter_context(servers_for(contender.name, url, self.cores))
            return self._raced(name, chosen, rounds, set_name)

    def _raced(
        self, name: str, chosen: Mapping[str, Contender], rounds: Mapping[str, int], set_name: str
    ) -> Race:
        folder, small = self.sets.folder(set_name), self.sets.folder(f"warm-up-{set_name}")
        skipped = {who: why for who, one in chosen.items() if (why := one.missing()) is not None}
        skipped |= {
            who: "too slow for a brief session" for who in chosen if self.sits_out(rounds[who])
        }
        runs = {who: one for who, one in chosen.items() if who not in skipped}
        failed: dict[str, str] = {}
        for who, contender in runs.items():
            try:
                contender.run(small, self.output())
            except RuntimeError as error:
                failed[who] = f"its first run failed: {str(error).splitlines()[-1]}"
        able = {who: one for who, one in runs.items() if who not in failed}
        seconds = in_turn(
            {who: self._timer(one, folder) for who, one in able.items()},
            {who: self.rounds(rounds[who]) for who in able},
        )
        images = {who: one.images(folder) for who, one in able.items()}
        return Race(name, seconds, images, skipped, failed)

    def _timer(self, contender: Contender, folder: Folder) -> Callable[[], float]:
        return lambda: contender.run(folder, self.output()).seconds

    def output(self) -> Path:
        """Return the folder that runs write to, one after the other."""
        return self.sets.workspace / "output"

    def measure(self, name: str, value: float, unit: str) -> None:
        """Note a figure that is no race."""
        self.results.measures[name] = Measure(name, value, unit)

    def table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Note a table of figures."""
        self.results.tables[name] = rows

    def close(self) -> None:
        """Stop the broker."""
        self._stack.close()


@contextmanager
def session(workspace: Path, *, pace: Pace, photos: Path | None, cores: int) -> Iterator[Session]:
    """Open a session and stop its broker at the end."""
    where = "memory" if is_in_memory(workspace) else "disk"
    results = Results(
        machine={**machine(), "outputs_on": where},
        versions=versions(),
        taken=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        pace=pace,
        photos="stand-ins" if photos is None else "a folder of photographs",
    )
    opened = Session(Sets(workspace, pace is Pace.QUICK, photos), results, pace, cores)
    begun = time.monotonic()
    try:
        yield opened
    finally:
        results.machine["minutes_taken"] = round((time.monotonic() - begun) / 60)
        opened.close()
