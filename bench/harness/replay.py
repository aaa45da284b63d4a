"""Showing a race as pytest-benchmark's tables.

pytest-benchmark finishes one test before it begins the next, A A A B B B, so a minute of noise
falls on one contender alone. Here the first test of a group runs the whole race in turn, and each
test then hands the times of its own contender to pytest-benchmark, whose clock is the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class RecordedClock:
    """A clock that moves only when a recorded time is played."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        """Return the recording's time in seconds."""
        return self._now

    def play(self, benchmark: Any, seconds: Sequence[float]) -> None:
        """Let a `benchmark` fixture see these times as its own."""
        remaining = iter(seconds)

        def one_round() -> None:
            self._now += next(remaining)

        benchmark._timer = self
        benchmark.pedantic(one_round, rounds=len(seconds), iterations=1)
