"""How many images ended in each stretch of a run's time, as the columns of a chart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

MOST_COLUMNS, FEWEST_COLUMNS = 60, 8
IMAGES_PER_COLUMN = 4
"""At the least, on average: single images would make a comb of gaps and spikes."""
SHADES = 5
"""Machines that have a shade of their own; the rest share the last."""
_STEPS_SECONDS = (
    0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400,
    43_200, 86_400,
)  # fmt: skip


class Throughput:
    """Counts images by time and machine.

    Parameters
    ----------
    seconds
        How long the run took.
    images
        How many will be counted, about.
    machines
        Ids, the busiest first.
    """

    def __init__(self, seconds: float, images: int, machines: Sequence[str]) -> None:
        columns = min(max(images // IMAGES_PER_COLUMN, FEWEST_COLUMNS), MOST_COLUMNS)
        longest = _STEPS_SECONDS[-1]
        self.step_seconds = next(
            (step for step in _STEPS_SECONDS if step * columns >= seconds), longest
        )
        self.columns = min(int(seconds / self.step_seconds), MOST_COLUMNS) + 1
        self.counts = {machine: [0] * self.columns for machine in machines[:SHADES]}
        self.images = 0

    def add(self, end_seconds: float, machine: str) -> None:
        """Count an image that ended so long after the run had begun."""
        row = self.counts.get(machine)
        if row is None:
            shared = "" if len(self.counts) < SHADES else next(reversed(self.counts))
            row = self.counts.setdefault(shared, [0] * self.columns)
        row[min(int(end_seconds / self.step_seconds), self.columns - 1)] += 1
        self.images += 1

    @property
    def seconds(self) -> float:
        """The time that all columns stand for."""
        return self.columns * self.step_seconds

    @property
    def top_per_second(self) -> float:
        """The rate at the chart's upper edge: a round number, not below the highest column."""
        sums = [sum(column) for column in zip(*self.counts.values(), strict=True)]
        return round_top(max(sums, default=0) / self.step_seconds)

    def stacks(self) -> Iterator[tuple[int, int, str, int, int]]:
        """Yield what is not empty: column, shade, machine, its images, and those below it."""
        for column in range(self.columns):
            below = 0
            for shade, (machine, counts) in enumerate(self.counts.items()):
                if counts[column]:
                    yield column, shade, machine, counts[column], below
                below += counts[column]


def round_top(value: float) -> float:
    """Return the next 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten that is not below `value`."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * digit for digit in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if power * digit >= value)
