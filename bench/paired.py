"""Times that can be compared on a machine that is never quiet.

What is compared runs in turn, A B A B, and the ratio is taken inside each turn: whatever slows the
machine for a second slows both sides of a ratio, or falls out with the median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of paired ratios and how far they spread.

    Parameters
    ----------
    median
        How many times as long the other took: above 1, ours is the faster.
    low, high
        The quartiles; of fewer than four pairs, the extremes.
    n
        The number of pairs.
    """

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Return the ratio theirs/ours of times that were taken in turn.

        Where one side sat out the last rounds, the other's times of these are left out.
        """
        return cls.over([other / our for our, other in zip(ours, theirs, strict=False)])

    @classmethod
    def over(cls, ratios: Sequence[float]) -> Ratio:
        """Return the summary of ratios, one from each pair."""
        low, high = min(ratios), max(ratios)
        if len(ratios) >= 4:
            low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return cls(statistics.median(ratios), low, high, len(ratios))


def paired(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 15, *, warm_up: int = 1
) -> Ratio:
    """Time two calls in turn and return how many times as long the second takes."""
    times = in_turn({"ours": lambda: timed(ours), "theirs": lambda: timed(theirs)}, rounds, warm_up)
    return Ratio.of(times["ours"], times["theirs"])


def in_turn(
    runs: Mapping[str, Callable[[], float]], rounds: int | Mapping[str, int], warm_up: int = 0
) -> dict[str, list[float]]:
    """Call each run once a round, every second round backwards, and return the seconds they tell.

    Backwards, so that none always follows the same neighbour and inherits its hot CPU or caches.
    Whoever has fewer rounds than others sits out the last ones.
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
    """Return the seconds that a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
