"""Runs that take turns, and the ratios of their times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from bench.paired import Ratio


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


def ratio_of(theirs: Sequence[float], ours: Sequence[float]) -> Ratio:
    """Return how many times as long they take, from times that were taken in turn.

    The spread is the quartiles of the rounds' ratios; of fewer than four, the extremes. Where one
    side sat out the last rounds, the other's times of these are left out.
    """
    ratios = [other / our for other, our in zip(theirs, ours, strict=False)]
    low, high = min(ratios), max(ratios)
    if len(ratios) >= 4:
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(statistics.median(ratios), low, high, len(ratios))
