"""Runs that take turns, and the ratios of their times, which a busy machine can't bend.

Whatever else the machine does meets all who take turns. Each round gives one ratio; the median of
the ratios is the result, and their quartiles say how much to believe it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long A takes as B, above 1 where B is faster, in `n` rounds.

    `low` and `high` are the quartiles of the rounds' ratios; of fewer than four, the extremes.
    """

    median: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | int]:
        """Return what pytest-benchmark's `extra_info`, or any JSON, can hold."""
        return {name: round(value, 3) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def in_turn(
    runs: Mapping[str, Callable[[], float]], rounds: int | Mapping[str, int], warm_up: int = 0
) -> dict[str, list[float]]:
    """Call each run once a round, every second round backwards, and return their seconds.

    Backwards, so that no run always follows the same neighbour and inherits its hot CPU or caches.
    A run with fewer rounds than others sits out the last ones.
    """
    wanted = dict.fromkeys(runs, rounds) if isinstance(rounds, int) else rounds
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-warm_up, max(wanted.values(), default=0)):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            if number >= wanted[name]:
                continue
            seconds = runs[name]()
            if number >= 0:
                times[name].append(seconds)
    return times


def timed(call: Callable[[], object]) -> float:
    begun = perf_counter()
    call()
    return perf_counter() - begun


def ratio_of(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Return how many times as long they take, by the rounds in which both took turns."""
    ratios = [other / our for other, our in zip(theirs, ours, strict=False)]
    low, high = min(ratios), max(ratios)
    if len(ratios) >= 4:
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(statistics.median(ratios), low, high, len(ratios))


def paired(
    a: Callable[[], object], b: Callable[[], object], rounds: int, warm_up: int = 2
) -> Ratio:
    """Time two callables in turn: for a speed-up, A is what was, or a rival, and B what is new."""
    runs = {"a": lambda: timed(a), "b": lambda: timed(b)}
    times = in_turn(runs, rounds, warm_up)
    return ratio_of(times["a"], times["b"])
