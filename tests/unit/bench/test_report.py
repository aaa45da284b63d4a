"""The document shows what was found, what was not, and why."""

from __future__ import annotations

import pytest
from bench.contenders import LOCAL, distributed
from bench.datasets.build import SETS, TEN_TIMES
from bench.datasets.sizes import TITLES
from bench.harness.results import REFERENCE, Race, Results
from bench.questions import QUESTIONS, WITHOUT_PAGE
from bench.report import DOCUMENT, PLOTS, document_of, plots_of
from bench.run import ALL
from bench.session import BROKER_ROUNDS, LOCAL_ROUNDS

POOL = "Local engine against an OpenCV pool, Tokyo"
MACHINE = dict.fromkeys(
    ("cores", "cpu", "memory_gb", "system", "outputs_on", "machines_held_by", "load_at_start"), "?"
)


def document(ours: list[float], theirs: list[float], contender: str = "imgbatch") -> str:
    races = {"local/tokyo": Race({contender: ours, "opencv pool": theirs})}
    return document_of(Results(machine=MACHINE, races=races))


def test_a_losing_row_is_shown_and_named_at_the_top() -> None:
    text = document([2.0] * 4, [1.0] * 4)
    assert f"| {POOL} | 0.500" in text
    assert f"- missed: {POOL}" in text


def test_what_was_not_measured_says_so() -> None:
    assert "not measured: its suite was not run" in document([2.0] * 4, [1.0] * 4)


@pytest.mark.parametrize(("seconds", "is_shown"), [(0.01, True), (1000.0, False)])
def test_a_reason_is_given_where_a_floor_is_missed_and_not_where_it_is_met(
    seconds: float, is_shown: bool
) -> None:
    assert (f"- *{POOL}*:" in document([1.0] * 4, [seconds] * 4)) is is_shown


def test_the_first_lines_say_when_a_figure_is_of_runs_without_the_page() -> None:
    default = document([1.0] * 4, [1.5] * 4)
    without = document([1.0] * 4, [1.5] * 4, "imgbatch --no-html")
    assert "**1.50 times as fast** as a pool of OpenCV processes, the fastest" in default
    assert "would write oneself (with `--no-html`)." in without


def test_the_committed_document_is_drawn_from_the_committed_figures() -> None:
    results = Results.load(REFERENCE)
    assert DOCUMENT.read_text() == document_of(results), "run: python -m bench.report"
    assert {path.name for path in PLOTS.glob("*.svg")} == set(plots_of(results))


def test_every_question_about_a_race_is_answered_by_a_suite() -> None:
    races = {f"local/{name}": rounds for name, rounds in LOCAL_ROUNDS.items()}
    races |= {f"broker/{name}": rounds for name, rounds in BROKER_ROUNDS.items()}
    asked = [
        one for one in (*QUESTIONS, *WITHOUT_PAGE) if one.where.startswith(("local/", "broker/"))
    ]
    assert len(asked) > 30
    for question in asked:
        assert {question.ours, question.theirs} <= set(races[question.where])
        assert question.where in ALL


def test_every_contender_of_a_race_is_known() -> None:
    assert all(set(rounds) <= set(LOCAL) for rounds in LOCAL_ROUNDS.values())
    assert all(set(rounds) <= set(distributed("amqp://")) for rounds in BROKER_ROUNDS.values())


def test_every_set_that_is_raced_can_be_made_and_has_a_title() -> None:
    assert set(TITLES) == {*SETS, *TEN_TIMES} == {*LOCAL_ROUNDS, *BROKER_ROUNDS}
