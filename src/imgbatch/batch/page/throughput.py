"""How many images ended in each stretch of a run's time, as the columns of a chart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

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
        How many there are, about.
    machines
        Ids, the busiest first.
    ends
        Gives for a step in seconds how many images ended in which, by machine, as
        `imgbatch.batch.journal.Journal.ends` does.
    """

    def __init__(
        self,
        seconds: float,
        images: int,
        machines: Sequence[str],
        ends: Callable[[float], Iterable[Iterable[Any]]],
    ) -> None:
        most = min(max(images // IMAGES_PER_COLUMN, FEWEST_COLUMNS), MOST_COLUMNS)
        fitting = (step for step in _STEPS_SECONDS if step * most >= seconds)
        self.step_seconds = next(fitting, _STEPS_SECONDS[-1])
        self.columns = min(int(seconds / self.step_seconds), MOST_COLUMNS) + 1
        self.counts = {machine: [0] * self.columns for machine in machines[:SHADES] or [""]}
        *_, shared = self.counts.values()
        for column, machine, count in ends(self.step_seconds):
            self.counts.get(machine, shared)[min(column, self.columns - 1)] += count
        self.images = sum(map(sum, self.counts.values()))

    @property
    def seconds(self) -> float:
        """The time that all columns stand for."""
        return self.columns * self.step_seconds

    @property
    def top_per_second(self) -> float:
        """The rate at the chart's upper edge: a round number, not below the highest column."""
        sums = [sum(column) for column in zip(*self.counts.values(), strict=True)]
        return round_top(max(sums) / self.step_seconds)

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
