"""``docs/benchmarks.md`` and its plots, drawn from a results file and nothing else.

``python -m bench.report [FILE]``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import plots, prose
from bench.datasets.sizes import CROPS, TOKYO
from bench.harness.processes import ROOT
from bench.harness.results import REFERENCE, Race, Results
from bench.harness.turns import ratio_of
from bench.model import Costs, fitted_price
from bench.plots import figure
from bench.questions import Answer, Kind, answers
from bench.test_machines import CURVE, SMALL_MACHINE_CORES

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "plots"

SET_TITLES = {
    "tokyo": "Tokyo",
    "crops": "Crops",
    "tokyo-png": "Tokyo as PNG",
    "crops-png": "Crops as PNG",
}
SET_BYTES = {"tokyo": TOKYO.total_bytes, "crops": CROPS.total_bytes}
OURS = ("imgbatch", "imgbatch local", "imgbatch with page")


@dataclass(frozen=True, slots=True)
class Document:
    """The text and the plots, by file name."""

    text: str
    plots: Mapping[str, str]


def draw(path: Path) -> None:
    """Write the document and the plots of a results file."""
    document = document_of(Results.load(path))
    PLOTS.mkdir(parents=True, exist_ok=True)
    for name, svg in document.plots.items():
        (PLOTS / name).write_text(svg)
    DOCUMENT.write_text(document.text)


def document_of(results: Results) -> Document:
    """Return the document that a results file makes."""
    drawn = _plots(results)
    found = answers(results)
    sections = [
        prose.opening(results, found),
        _answers_section(found),
        _races_section("On one machine", "local", prose.LOCAL, results, drawn),
        _races_section("Through RabbitMQ", "broker", prose.BROKER, results, drawn),
        _papers_section(results),
        _scaling_section(results),
        _small_things_section(results),
        _suites_section(results),
        prose.method(results),
    ]
    text = "\n".join(section.strip() + "\n" for section in sections if section)
    return Document(prose.HEADER + text, drawn)


def _answers_section(found: list[Answer]) -> str:
    rows = [
        (
            answer.question.text,
            _number(answer),
            _spread(answer),
            _bound(answer, answer.question.floor),
            _bound(answer, answer.question.aim),
            answer.verdict if answer.found else f"not measured: {answer.why_not}",
        )
        for answer in found
    ]
    head = ("question", "found", "spread", "floor", "aim", "")
    parts = ("## The questions", prose.QUESTIONS, _table(head, rows), prose.reasons(found))
    return "\n\n".join(parts)


def _number(answer: Answer) -> str:
    return "–" if answer.found is None else _with_unit(answer.question.kind, answer.found.median)


def _spread(answer: Answer) -> str:
    found = answer.found
    if found is None or found.n < 2:
        return "–"
    low, high = (_with_unit(answer.question.kind, value) for value in (found.low, found.high))
    return f"{low} to {high}, n = {found.n}"


def _bound(answer: Answer, value: float | None) -> str:
    return "" if value is None else _with_unit(answer.question.kind, value)


def _with_unit(kind: Kind, value: float) -> str:
    if kind in (Kind.SHARE, Kind.SAVED):
        return f"{100 * value:.0f} %"
    if kind.is_ceiling:
        return f"{figure(value)} {kind.value}"
    return f"{figure(value)}×"


def _races_section(
    title: str, prefix: str, words: str, results: Results, drawn: Mapping[str, str]
) -> str:
    parts = [f"## {title}\n\n{words}\n"]
    for set_name, set_title in SET_TITLES.items():
        race = results.races.get(f"{prefix}/{set_name}")
        if race is None:
            continue
        parts.append(f"### {set_title}\n")
        plot = f"{prefix}-{set_name}.svg"
        if plot in drawn:
            parts.append(f"![{set_title}: images per second](plots/{plot})\n")
        head = ("", "seconds", "images/s", "imgbatch is", "spread")
        parts.append(_table(head, list(_race_rows(race))))
    return "\n".join(parts) if len(parts) > 1 else ""


def _race_rows(race: Race) -> Iterator[tuple[str, ...]]:
    ours = race.per_image("imgbatch") if race.seconds.get("imgbatch") else []
    for contender, seconds in sorted(race.seconds.items(), key=lambda item: _pace(race, item[0])):
        ratio = ratio_of(race.per_image(contender), ours) if ours and seconds else None
        is_itself = contender == "imgbatch"
        yield (
            f"**{contender}**" if contender in OURS else contender,
            figure(median(seconds)),
            figure(1 / _pace(race, contender)),
            "" if ratio is None or is_itself else f"{figure(ratio.median)}× as fast",
            ""
            if ratio is None or is_itself
            else f"{figure(ratio.low)} to {figure(ratio.high)}, n = {ratio.n}",
        )
    for contender, why in {**race.skipped, **race.failed}.items():
        yield contender, "–", "–", "", why.splitlines()[0]


def _pace(race: Race, contender: str) -> float:
    return median(race.per_image(contender))


def _papers_section(results: Results) -> str:
    parts = [f"## The paper's tables, repeated\n\n{prose.tables(results)}\n"]
    for set_name in ("tokyo", "crops"):
        race = results.races.get(f"machines/{set_name}")
        if race is None:
            continue
        parts.append(f"### {SET_TITLES[set_name]}\n")
        head = ("", *(f"run {number}" for number in range(1, 5)), "median", "saved")
        parts.append(_table(head, list(_machine_rows(race))))
    return "\n".join(parts) if len(parts) > 1 else ""


def _machine_rows(race: Race) -> Iterator[tuple[str, ...]]:
    for contender, seconds in race.seconds.items():
        if not seconds:
            continue
        system, _, machines = contender.rpartition(" x")
        one = race.seconds.get(f"{system} x1", [])
        saved = "" if machines == "1" or not one else _saved(one, seconds)
        runs = [f"{value:.1f} s" for value in seconds[:4]] + [""] * (4 - len(seconds[:4]))
        label = f"{system}, {machines} machine{'' if machines == '1' else 's'}"
        yield label, *runs, f"{median(seconds):.1f} s", saved


def _saved(one: list[float], more: list[float]) -> str:
    ratio = ratio_of(one, more)
    return f"{100 * (1 - 1 / ratio.median):.1f} %"


def _scaling_section(results: Results) -> str:
    parts = [f"## Many machines, and where one broker is full\n\n{prose.SCALING}\n"]
    for set_name in ("tokyo", "crops"):
        measured = _curve_of(results, set_name)
        if not measured:
            continue
        model = _model_of(results, set_name, measured)
        parts.append(f"### {SET_TITLES[set_name]}\n")
        parts.append(f"![{SET_TITLES[set_name]}: speed-up](plots/curve-{set_name}.svg)\n")
        rows = [
            (
                str(count),
                f"{median(seconds):.1f} s",
                f"{figure(median(measured[1]) / median(seconds))}×",
                f"{model[count]:.1f} s" if count in model else "–",
            )
            for count, seconds in measured.items()
        ]
        parts.append(_table(("machines", "measured", "speed-up", "model"), rows))
    if len(parts) > 1:
        parts.append(prose.saturation(results))
    return "\n".join(parts) if len(parts) > 1 else ""


def _curve_of(results: Results, set_name: str) -> dict[int, list[float]]:
    race = results.races.get(f"curve/{set_name}")
    if race is None:
        return {}
    found = {count: race.seconds.get(f"imgbatch x{count}", []) for count in CURVE}
    return {count: seconds for count, seconds in found.items() if seconds}


def _model_of(
    results: Results, set_name: str, measured: Mapping[int, list[float]]
) -> dict[int, float]:
    costs = Costs.of(results, set_name)
    if costs is None or 1 not in measured:
        return {}
    share = SMALL_MACHINE_CORES
    price = fitted_price(costs, share, median(measured[1]))
    return {count: costs.seconds(count, share, price) for count in measured}


def _small_things_section(results: Results) -> str:
    race = results.races.get("start/one small image")
    parts = ["## Start, memory, bytes on the wire\n"]
    if race is not None:
        rows = [(who, f"{median(seconds):.2f} s") for who, seconds in race.seconds.items()]
        parts.append(_table(("one small image, whole process", "median"), rows))
    rows = [
        (name.partition("/")[2], f"{measure.value / 1e6:,.1f} MB")
        for name, measure in sorted(results.measures.items())
        if name.startswith("memory/") and measure.unit == "B"
    ]
    if rows:
        parts.append(_table(("most memory held by", ""), rows))
    sent = [
        (name.partition("/")[2], f"{measure.value / 1e6:,.2f} MB")
        for name, measure in sorted(results.measures.items())
        if name.startswith("protocol/")
    ]
    if sent:
        parts.append(_table(("one photograph of 12 megapixels as", "bytes"), sent))
    return "\n".join(parts) if len(parts) > 1 else ""


def _suites_section(results: Results) -> str:
    groups = {
        name.removeprefix("suite/"): rows
        for name, rows in results.tables.items()
        if name.startswith("suite/")
    }
    parts = [f"## Kernels and codecs\n\n{prose.SUITES}\n"]
    for group, rows in sorted(groups.items()):
        fastest = min(row["median_seconds"] for row in rows)
        parts.append(f"### {group}\n")
        body = [
            (
                str(row["name"]),
                f"{1e3 * row['median_seconds']:.3g} ms",
                f"{1e3 * row['low_seconds']:.3g} to {1e3 * row['high_seconds']:.3g} ms",
                f"{row['median_seconds'] / fastest:.2f}",
                _extra(row),
            )
            for row in sorted(rows, key=lambda row: row["median_seconds"])
        ]
        parts.append(_table(("", "median", "quartiles", "× the fastest", "paired"), body))
    return "\n".join(parts) if groups else ""


def _extra(row: Mapping[str, object]) -> str:
    known = {"name", "median_seconds", "low_seconds", "high_seconds", "rounds"}
    told = []
    for key, value in row.items():
        if key in known:
            continue
        if isinstance(value, Mapping) and "median" in value:
            told.append(f"{key}: {value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})")
        else:
            told.append(f"{key}: {value:.3g}" if isinstance(value, float) else f"{key}: {value}")
    return "; ".join(told)


def _plots(results: Results) -> dict[str, str]:
    drawn = {}
    for name, race in results.races.items():
        prefix, _, set_name = name.partition("/")
        if prefix in ("local", "broker"):
            speeds = {who: 1 / _pace(race, who) for who, seconds in race.seconds.items() if seconds}
            title = f"{SET_TITLES[set_name]}: images per second"
            if speeds:
                drawn[f"{prefix}-{set_name}.svg"] = plots.bars(title, speeds, "/s", OURS)
        if prefix == "curve" and (measured := _curve_of(results, set_name)):
            model = _model_of(results, set_name, measured)
            title = f"{SET_TITLES[set_name]}: times as fast as one machine of 0.15 core"
            drawn[f"curve-{set_name}.svg"] = plots.curve(title, measured, model)
    return drawn


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    ruler = "| " + " | ".join(["---", *["---:"] * (len(head) - 1)]) + " |"
    lines = [f"| {' | '.join(head)} |", ruler]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
