"""Two kinds of plots as SVG: bars, and a curve with its model.

Every value is written beside its mark, so a plot can be read without its colours; these, on no
background, can be read on white and on black.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from statistics import median

import matplotlib as mpl
from matplotlib.figure import Figure

OURS, THEIRS, TEXT = "#2f81f7", "#8c959f", "#7d8590"
STYLE = {
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "imgbatch",  # the same figures make the same file
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), TEXT),
    "grid.alpha": 0.3,
    **{f"axes.spines.{side}": False for side in ("top", "right", "bottom", "left")},
}


def bars(title: str, values: Mapping[str, float], unit: str, ours: Sequence[str]) -> str:
    """Return horizontal bars, longest first: more is better."""
    names = sorted(values, key=lambda name: values[name])
    with mpl.rc_context(STYLE):
        picture = Figure((7.6, 0.6 + 0.3 * len(names)), layout="constrained")
        axes = picture.subplots()
        colours = [OURS if name in ours else THEIRS for name in names]
        drawn = axes.barh(names, [values[name] for name in names], color=colours)
        labels = [f"{figure(values[name])} {unit}" for name in names]
        axes.bar_label(drawn, labels, padding=4)
        axes.set_title(title, loc="left", weight="bold")
        axes.tick_params(length=0)
        axes.xaxis.set_visible(False)
        axes.margins(x=0.12)
        return _svg(picture, title)


def curve(title: str, measured: Mapping[int, Sequence[float]], model: Mapping[int, float]) -> str:
    """Return speed-up over one machine: measured medians with their spread, and the model."""
    counts = sorted(measured)
    first = median(measured[counts[0]])
    speed_ups = [first / median(measured[count]) for count in counts]
    lows = [up - first / max(measured[count]) for up, count in zip(speed_ups, counts, strict=True)]
    highs = [first / min(measured[count]) - up for up, count in zip(speed_ups, counts, strict=True)]
    with mpl.rc_context(STYLE):
        picture = Figure((7.6, 3.4), layout="constrained")
        axes = picture.subplots()
        axes.errorbar(counts, speed_ups, (lows, highs), color=OURS, marker="o", label="measured")
        for count, speed_up in zip(counts, speed_ups, strict=True):
            place = {"xytext": (8, -12), "textcoords": "offset points"}
            axes.annotate(f"{figure(speed_up)}×", (count, speed_up), **place)
        if model:
            told = [model[counts[0]] / model[count] for count in counts]
            axes.plot(counts, told, color=THEIRS, linestyle="--", label="model")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_yticks(counts, [f"{count}×" for count in counts])
        axes.set_xlabel("machines")
        axes.grid(axis="y")
        axes.legend(frameon=False)
        axes.set_title(title, loc="left", weight="bold")
        return _svg(picture, title)


def figure(value: float) -> str:
    """Return a number with three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def _svg(picture: Figure, title: str) -> str:
    drawn, metadata = io.StringIO(), {"Title": title, "Date": None, "Creator": None}
    picture.savefig(drawn, format="svg", transparent=True, metadata=metadata)
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines()) + "\n"
