"""Two kinds of plots as plain SVG, without a plotting library: bars, and a curve with its model.

Colours follow the reader's light or dark scheme. Every value is written beside its mark, so a plot
can be read without its colours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.soft { fill: #57606a; } .title { font-weight: 600; font-size: 15px; }
.ours { fill: #0969da; } .theirs { fill: #8c959f; }
.line { stroke: #0969da; fill: none; stroke-width: 2; }
.model { stroke: #8c959f; fill: none; stroke-width: 2; stroke-dasharray: 6 5; }
.grid { stroke: #d0d7de; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .soft { fill: #9198a1; } .grid { stroke: #3d444d; }
  .ours { fill: #4493f8; } .line { stroke: #4493f8; } .theirs { fill: #656c76; }
}
</style>"""
_WIDTH = 760
_LABELS = 210
_ROW = 30


def bars(title: str, values: Mapping[str, float], unit: str, ours: Sequence[str]) -> str:
    """Return horizontal bars, longest first: more is better."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    longest = max(values.values())
    room = _WIDTH - _LABELS - 110
    marks = [f'<text class="title" x="0" y="18">{escape(title)}</text>']
    for row, (name, value) in enumerate(ordered):
        top = 34 + row * _ROW
        length = max(1.0, room * value / longest)
        kind = "ours" if name in ours else "theirs"
        marks += [
            f'<text x="{_LABELS - 10}" y="{top + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_LABELS}" y="{top}" width="{length:.1f}" height="20" '
            'rx="2"/>',
            f'<text class="soft" x="{_LABELS + length + 8:.1f}" y="{top + 15}">'
            f"{figure(value)} {escape(unit)}</text>",
        ]
    return _svg(title, 40 + len(ordered) * _ROW, marks)


def curve(title: str, measured: Mapping[int, Sequence[float]], model: Mapping[int, float]) -> str:
    """Return speed-up over one machine: measured medians with their spread, and the model."""
    width, height, left, bottom = _WIDTH, 340, 60, 290
    machines = sorted(measured)
    first = _median(measured[machines[0]])
    most = max(machines)

    def x(count: float) -> float:
        return left + (width - left - 90) * math.log2(count) / math.log2(most)

    def y(times: float) -> float:
        return bottom - (bottom - 50) * math.log2(max(times, 0.5)) / math.log2(most)

    marks = [f'<text class="title" x="0" y="18">{escape(title)}</text>']
    for count in machines:
        marks += [
            f'<line class="grid" x1="{left}" x2="{width - 90}" y1="{y(count):.1f}" '
            f'y2="{y(count):.1f}"/>',
            f'<text class="soft" x="{left - 10}" y="{y(count) + 4:.1f}" text-anchor="end">'
            f"{count}×</text>",
            f'<text class="soft" x="{x(count):.1f}" y="{bottom + 24}" text-anchor="middle">'
            f"{count}</text>",
        ]
    speed_ups = {count: first / _median(measured[count]) for count in machines}
    marks.append(_polyline("line", [(x(count), y(speed_ups[count])) for count in machines]))
    if model:
        told = [(x(count), y(model[machines[0]] / seconds)) for count, seconds in model.items()]
        marks.append(_polyline("model", told))
        marks.append(
            f'<text class="soft" x="{told[-1][0] + 10:.1f}" y="{told[-1][1] - 6:.1f}">model</text>'
        )
    for count in machines:
        spread = [first / seconds for seconds in measured[count]]
        marks += [
            f'<line class="line" x1="{x(count):.1f}" x2="{x(count):.1f}" '
            f'y1="{y(min(spread)):.1f}" y2="{y(max(spread)):.1f}"/>',
            f'<circle class="ours" cx="{x(count):.1f}" cy="{y(speed_ups[count]):.1f}" r="5"/>',
            f'<text x="{x(count) + 10:.1f}" y="{y(speed_ups[count]) + 20:.1f}">'
            f"{figure(speed_ups[count])}×</text>",
        ]
    marks.append(
        f'<text class="soft" x="{(left + width - 90) / 2}" y="{bottom + 46}" '
        'text-anchor="middle">machines</text>'
    )
    return _svg(title, height, marks)


def figure(value: float) -> str:
    """Return a number with three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _polyline(kind: str, points: Sequence[tuple[float, float]]) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{places}"/>'


def _svg(title: str, height: int, marks: Sequence[str]) -> str:
    body = "\n".join(marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">\n'
        f"<title>{escape(title)}</title>\n{_STYLE}\n{body}\n</svg>\n"
    )
