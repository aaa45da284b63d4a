"""``docs/benchmarks.md`` and its plots, drawn from a results file and nothing else.

``python -m bench.report [FILE]``; the words are in ``report.md.jinja``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import plots
from bench.contenders import OURS
from bench.datasets.sizes import TITLES
from bench.harness.processes import ROOT
from bench.harness.ratios import Ratio, ratio_of
from bench.harness.results import REFERENCE, Race, Results
from bench.model import costs_of, modelled_seconds, saturating_cores
from bench.plots import figure
from bench.questions import CEILINGS, PERCENTAGES, QUESTIONS, WITHOUT_PAGE, Answer, Question, answer
from bench.suites import CROWDS, CURVE, SMALL_MACHINE_CORES

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "plots"
TABLE_COLUMNS = {"name", "median_seconds", "low_seconds", "high_seconds", "rounds"}


def draw(path: Path) -> None:
    results = Results.load(path)
    PLOTS.mkdir(parents=True, exist_ok=True)
    for name, svg in plots_of(results).items():
        (PLOTS / name).write_text(svg)
    DOCUMENT.write_text(document_of(results))


def document_of(results: Results) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "figure": figure,
        "median": median,
        "paragraph": lambda text: " ".join(text.split()),
        "item": lambda text: fill(text.strip(), 100, initial_indent="- ", subsequent_indent="  "),
    }
    found = [answer(question, results) for question in QUESTIONS]
    without_page = [answer(question, results) for question in WITHOUT_PAGE]
    return environment.get_template("report.md.jinja").render(
        results=results,
        answers={one.question.text: one for one in found},
        without_page={one.question.text: one for one in without_page},
        judged=[one for one in found if one.found and one.question.floor is not None],
        titles=TITLES,
        percentages=PERCENTAGES,
        table=table,
        question_rows=question_rows,
        race_rows=race_rows,
        machine_rows=machine_rows,
        curve_rows=lambda name: curve_rows(results, name),
        suite_rows=suite_rows,
        crowd_rows=list(crowd_rows(results)),
        costs_of=lambda name: costs_of(results.measures, name),
        saturating_cores=saturating_cores,
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, all columns but the first to the right."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    lines = [" | ".join(cell.replace("|", "/") for cell in row) for row in (head, ruler, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def question_rows(found: Iterable[Answer]) -> Iterator[tuple[str, ...]]:
    """Yield question, number, spread, floor, aim and verdict."""
    for one in found:
        question, ratio = one.question, one.found
        spread = "–"
        if ratio and ratio.n > 1:
            low, high = (with_unit(question, value) for value in (ratio.low, ratio.high))
            spread = f"{low} to {high}, n = {ratio.n}"
        number = with_unit(question, ratio.median) if ratio else "–"
        bounds = (with_unit(question, bound) for bound in (question.floor, question.aim))
        yield question.text, number, spread, *bounds, one.verdict


def with_unit(question: Question, value: float | None) -> str:
    kind = question.kind
    if value is None:
        return ""
    if kind in PERCENTAGES:
        return f"{100 * value:.0f} %"
    return f"{figure(value)} {kind}" if kind in CEILINGS else f"{figure(value)}×"


def race_rows(race: Race) -> Iterator[tuple[str, ...]]:
    """Yield name, seconds, images/s, how many times as fast we are, and its spread, fastest first.

    We: the default run, or the one without a page where that alone was measured.
    """
    reference = next((name for name in OURS if race.seconds.get(name)), None)
    ours = race.per_image(reference) if reference else []
    for name in sorted(filter(race.seconds.get, race.seconds), key=lambda name: pace(race, name)):
        ratio = ratio_of(race.per_image(name), ours) if ours and name != reference else None
        yield (
            f"**{name}**" if name in OURS else name,
            figure(median(race.seconds[name])),
            figure(1 / pace(race, name)),
            f"{figure(ratio.median)}× as fast" if ratio else "",
            f"{figure(ratio.low)} to {figure(ratio.high)}, n = {ratio.n}" if ratio else "",
        )
    for name, why in race.skipped.items():
        yield name, "–", "–", "", why


def pace(race: Race, contender: str) -> float:
    return median(race.per_image(contender))


def machine_rows(race: Race) -> Iterator[tuple[str, ...]]:
    """Yield each fleet with its four runs, their median and what it saved against one machine."""
    for contender, seconds in race.seconds.items():
        system, _, count = contender.rpartition(" x")
        one = race.seconds.get(f"{system} x1", [])
        saved = ""
        if count != "1" and one:
            saved = f"{100 * (1 - 1 / ratio_of(one, seconds).median):.1f} %"
        runs = [f"{value:.1f} s" for value in seconds[:4]] + [""] * (4 - len(seconds[:4]))
        label = f"{system}, {count} machine{'' if count == '1' else 's'}"
        yield label, *runs, f"{median(seconds):.1f} s", saved


def curve_of(results: Results, set_name: str) -> dict[int, list[float]]:
    race = results.races.get(f"curve/{set_name}", Race({}))
    found = {count: race.seconds.get(f"imgbatch x{count}", []) for count in CURVE}
    return {count: seconds for count, seconds in found.items() if seconds}


def model_of(results: Results, set_name: str) -> dict[int, float]:
    """Return what the model says of the same machines; nothing if the costs are not known."""
    costs = costs_of(results.measures, set_name)
    counts = curve_of(results, set_name) if costs else {}
    return {count: modelled_seconds(costs, count, SMALL_MACHINE_CORES) for count in counts}


def curve_rows(results: Results, set_name: str) -> Iterator[tuple[str, ...]]:
    """Yield each number of small machines with its seconds, speed-up, and the model's seconds."""
    measured, model = curve_of(results, set_name), model_of(results, set_name)
    for count, seconds in measured.items():
        speed_up = figure(median(measured[1]) / median(seconds))
        told = f"{model[count]:.1f} s" if count in model else "–"
        yield str(count), f"{median(seconds):.1f} s", f"{speed_up}×", told


def crowd_rows(results: Results) -> Iterator[tuple[str, ...]]:
    """Yield, for each number of workers, what the client handed out and recorded, and its cost."""
    for workers in CROWDS:
        found = {
            name: results.measures.get(f"many cores/{workers}/{name}", 0.0)
            for name in ("images", "seconds", "cpu")
        }
        if found["cpu"]:
            images, seconds, cpu = found.values()
            rates = f"{images / seconds:,.0f}", f"{images / cpu:,.0f}"
            yield (
                str(workers),
                f"{images:,.0f}",
                f"{seconds:.1f}",
                rates[0],
                f"{cpu:.1f} s",
                rates[1],
            )


def suite_rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield what pytest-benchmark found in one group, fastest first, and what stands beside it."""
    ordered = sorted(rows, key=lambda row: row["median_seconds"])
    for row in ordered:
        told = {key: value for key, value in row.items() if key not in TABLE_COLUMNS}
        ratios = {key: Ratio(**value) for key, value in told.items() if isinstance(value, Mapping)}
        yield (
            str(row["name"]),
            f"{1e3 * row['median_seconds']:.3g} ms",
            f"{1e3 * row['low_seconds']:.3g} to {1e3 * row['high_seconds']:.3g} ms",
            f"{row['median_seconds'] / ordered[0]['median_seconds']:.2f}",
            "; ".join(f"{key}: {value}" for key, value in {**told, **ratios}.items()),
        )


def plots_of(results: Results) -> dict[str, str]:
    drawn = {}
    for name, race in results.races.items():
        prefix, _, set_name = name.partition("/")
        speeds = {who: 1 / pace(race, who) for who, seconds in race.seconds.items() if seconds}
        if prefix in ("local", "broker") and speeds:
            title = f"{TITLES[set_name]}: images per second"
            drawn[f"{prefix}-{set_name}.svg"] = plots.bars(title, speeds, "/s", OURS)
        if prefix == "curve" and (measured := curve_of(results, set_name)):
            title = f"{TITLES[set_name]}: times as fast as one machine of 0.15 core"
            drawn[f"curve-{set_name}.svg"] = plots.curve(
                title, measured, model_of(results, set_name)
            )
    return drawn


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
