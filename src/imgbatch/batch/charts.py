"""Charts of a run as inline SVG. The words around them are HTML, so that they don't shrink."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_COLUMNS, FEWEST_COLUMNS = 60, 8
IMAGES_PER_COLUMN = 4
"""At the least, on average: single images would make a comb of gaps and spikes."""
SHADES = 5
"""Machines that have a shade of their own; the rest share the last."""
_WIDTH, _HEIGHT = 600, 160
_STEPS_SECONDS = (
    0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400,
    43_200, 86_400,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Throughput:
    """How many images ended in each stretch of time.

    Parameters
    ----------
    step_seconds
        The length of a stretch.
    counts
        For each machine's id, images by stretch.
    """

    step_seconds: float
    counts: Mapping[str, Sequence[int]]

    @property
    def columns(self) -> int:
        """How many stretches there are."""
        return max((len(column) for column in self.counts.values()), default=0)

    @property
    def peak_per_second(self) -> float:
        """The rate of the busiest stretch."""
        sums = [sum(column) for column in zip(*self.counts.values(), strict=True)]
        return max(sums, default=0) / self.step_seconds


def throughput(
    ends: Sequence[tuple[float, str]], seconds: float, machines: Sequence[str]
) -> Throughput:
    """Count images by time and machine.

    Parameters
    ----------
    ends
        When each image ended, from the start of the run, and on which machine.
    seconds
        How long the run took.
    machines
        Ids, the busiest first.
    """
    seconds = max([seconds, *(end for end, _ in ends)])
    step = _step_for(seconds, len(ends))
    columns = int(seconds / step) + 1
    counts = {machine: [0] * columns for machine in machines[:SHADES]}
    for end, machine in ends:
        row = counts.get(machine)
        if row is None:
            row = counts.setdefault("" if len(counts) < SHADES else [*counts][-1], [0] * columns)
        row[int(end / step)] += 1
    return Throughput(step, counts)


def _step_for(seconds: float, images: int) -> float:
    wanted = seconds / min(max(images // IMAGES_PER_COLUMN, FEWEST_COLUMNS), MOST_COLUMNS)
    return next((step for step in _STEPS_SECONDS if step >= wanted), _STEPS_SECONDS[-1])


def throughput_svg(rates: Throughput, top_per_second: float, names: Mapping[str, str]) -> str:
    """Return stacked columns of images per second; `top_per_second` is the upper edge."""
    width = _WIDTH / max(rates.columns, 1)
    gap = min(1.5, width / 5)
    scale = _HEIGHT / (top_per_second * rates.step_seconds)
    parts = []
    for column in range(rates.columns):
        base = float(_HEIGHT)
        for shade, (machine, counts) in enumerate(rates.counts.items()):
            height = counts[column] * scale
            base -= height
            if height:
                rate = counts[column] / rates.step_seconds
                start = seconds_text(column * rates.step_seconds)
                hint = f"{rate:.3g} images/s at {start}, {names.get(machine, machine)}"
                parts.append(
                    f'<rect class="shade-{shade}" x="{column * width + gap / 2:.2f}" '
                    f'y="{base:.2f}" width="{width - gap:.2f}" height="{height:.2f}">'
                    f"<title>{escape(hint)}</title></rect>"
                )
    lines = "".join(
        f'<path class="rule" d="M0 {_HEIGHT * part:.1f}H{_WIDTH}"/>' for part in (0, 0.5, 1)
    )
    return (
        f'<svg class="columns" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="Images per second over time">{lines}{"".join(parts)}</svg>'
    )


def bar_svg(share: float, shade: int = 0) -> str:
    """Return a horizontal bar that fills `share`, 0..1, of its width."""
    length = 100 * min(max(share, 0.0), 1.0)
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="groove" width="100" height="8"/>'
        f'<rect class="shade-{shade}" width="{length:.2f}" height="8"/></svg>'
    )


def round_top(value: float) -> float:
    """Return the next 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten that is not below `value`."""
    if value <= 0:
        return 1.0
    power = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 1.0
    while power > value:
        power /= 10
    return next(power * digit for digit in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if power * digit >= value)


def seconds_text(seconds: float) -> str:
    """Return a time as people write it: ``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds < 0.995:
        return f"{seconds:.2g} s"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
