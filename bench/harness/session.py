"""One session of measuring: its sets, its broker, and the races it has run so far."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.rabbitmq import Node, private_node

from bench.contenders import LOCAL, Contender, distributed, servers_for
from bench.harness.jobs import Folder, Sets
from bench.harness.machine import machine, versions
from bench.harness.results import Measure, Race, Results
from bench.harness.turns import in_turn


@dataclass(slots=True)
class Session:
    """Runs each race once, however many tests ask for it."""

    sets: Sets
    results: Results
    quick: bool
    cores: int
    _stack: ExitStack = field(default_factory=ExitStack)
    _node: Node | None = None

    def rounds(self, whole: int) -> int:
        """Return how often a race is run: two rounds are enough to see that it works."""
        return min(whole, 2) if self.quick else whole

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
        runs = {who: one for who, one in chosen.items() if who not in skipped}
        failed: dict[str, str] = {}
        for who, contender in runs.items():
            try:
                contender.run(small, self.output())
            except RuntimeError as error:
                failed[who] = str(error)
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
def session(workspace: Path, *, quick: bool, photos: Path | None, cores: int) -> Iterator[Session]:
    """Open a session and stop its broker at the end."""
    results = Results(
        machine=machine(),
        versions=versions(),
        taken=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        quick=quick,
        photos="stand-ins" if photos is None else "a folder of photographs",
    )
    opened = Session(Sets(workspace, quick, photos), results, quick, cores)
    begun = time.monotonic()
    try:
        yield opened
    finally:
        results.machine["minutes_taken"] = round((time.monotonic() - begun) / 60)
        opened.close()
