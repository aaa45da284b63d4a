"""Ratios of times that a busy machine can't bend.

Two contenders take turns, A B A B, so that whatever else the machine does meets both. Each round
gives one ratio; the median of the ratios is the result, and their quartiles say how much to
believe it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long A takes as B: above 1, B is faster."""

    median: float
    low: float
    """The lower quartile of the rounds' ratios."""
    high: float
    """The upper quartile."""
    n: int
    """Rounds that were measured."""

    def as_dict(self) -> dict[str, float | int]:
        """Return what pytest-benchmark's `extra_info`, or any JSON, can hold."""
        return {name: round(value, 3) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def paired(
    a: Callable[[], object], b: Callable[[], object], rounds: int = 15, warm_up_rounds: int = 2
) -> Ratio:
    """Time two callables in turns and return the ratio of A's time to B's.

    Parameters
    ----------
    a, b
        What is compared; called without arguments. For a speed-up, A is what was, B what is new.
    rounds
        Pairs that are measured, at least 4.
    warm_up_rounds
        Pairs that run before, unmeasured.
    """
    ratios = []
    for number in range(warm_up_rounds + rounds):
        seconds_a, seconds_b = _seconds(a), _seconds(b)
        if number >= warm_up_rounds:
            ratios.append(seconds_a / seconds_b)
    low, _, high = quantiles(ratios, n=4)
    return Ratio(median(ratios), low, high, rounds)


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
