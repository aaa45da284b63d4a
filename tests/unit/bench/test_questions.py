"""Answers are computed from a results file, and only a clear loss counts as a regression."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.compare import regressions
from bench.harness.results import Race, Results
from bench.questions import QUESTIONS, WITHOUT_PAGE, Kind, Question, answer

TOKYO = Question("Tokyo?", "local/tokyo", "opencv pool", 1.3, 1.6)


def results_with(ours: list[float], theirs: list[float]) -> Results:
    return Results(races={"local/tokyo": Race({"imgbatch": ours, "opencv pool": theirs})})


@pytest.mark.parametrize(
    ("theirs", "verdict"), [(1.0, "missed"), (1.4, "floor met"), (1.7, "aim met")]
)
def test_a_verdict_sets_the_median_against_floor_and_aim(theirs: float, verdict: str) -> None:
    assert answer(TOKYO, results_with([1.0] * 4, [theirs] * 4)).verdict == verdict


def test_of_a_ceiling_less_is_better() -> None:
    question = Question("Start?", "start", "", 2.0, 1.2, Kind.SECONDS)
    found = answer(question, Results(races={"start": Race({"imgbatch": [1.5, 1.6, 1.4]})}))
    assert found.found is not None
    assert (found.found.median, found.verdict) == (1.5, "floor met")


def test_contenders_that_take_fewer_images_are_compared_by_the_image() -> None:
    race = Race({"imgbatch": [10.0], "paper": [80.0]}, {"imgbatch": 10, "paper": 8})
    question = Question("Times?", "r", "paper")
    found = answer(question, Results(races={"r": race})).found
    assert found is not None
    assert found.median == pytest.approx(10.0)


def test_the_time_saved_is_a_share_of_one_machine() -> None:
    race = Race({"imgbatch x1": [10.0, 10.0], "imgbatch x2": [6.0, 6.0]})
    question = Question("Saved?", "m", "imgbatch x1", kind=Kind.SAVED, ours="imgbatch x2")
    found = answer(question, Results(races={"m": race})).found
    assert found is not None
    assert found.median == pytest.approx(0.4)


def test_bytes_are_compared_as_they_were_counted() -> None:
    measures = {"protocol/imgbatch": 2.0e6, "protocol/json": 40.0e6}
    question = Question("Bytes?", "protocol", "json", 40, None, Kind.BYTES)
    found = answer(question, Results(measures=measures))
    assert found.found is not None
    assert (found.found.median, found.verdict) == (20.0, "missed")


def test_what_could_not_take_part_says_why() -> None:
    race = Race({"imgbatch": [1.0]}, {}, {"opencv pool": "not installed"})
    found = answer(TOKYO, Results(races={"local/tokyo": race}))
    assert (found.found, found.why_not) == (None, "not installed")


def test_a_ratio_that_clearly_fell_is_a_regression() -> None:
    before, after = results_with([1.0] * 4, [1.6] * 4), results_with([1.0] * 4, [1.2] * 4)
    (sentence,) = regressions(before, after)
    assert "OpenCV pool, Tokyo: 1.60 before, 1.20 now" in sentence


def test_other_seconds_with_the_same_ratio_are_none() -> None:
    before, after = results_with([1.0] * 4, [1.6] * 4), results_with([9.0] * 4, [14.4] * 4)
    assert regressions(before, after) == []


def test_a_fall_within_the_spread_is_none() -> None:
    before = results_with([1.0] * 4, [1.0, 1.6, 1.6, 2.0])
    after = results_with([1.0] * 4, [0.9, 1.3, 1.4, 2.0])
    assert regressions(before, after) == []


def test_a_results_file_says_after_reading_what_it_said_before(tmp_path: Path) -> None:
    before = results_with([1.0, 2.0], [3.0, 4.0])
    before.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == before


def test_a_results_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"format": 0}')
    with pytest.raises(ValueError, match=r"results\.json is not a results file of format 2"):
        Results.load(path)


def test_every_row_without_the_page_has_one_with_default_options() -> None:
    asked = {question.text: question for question in QUESTIONS}
    for question in WITHOUT_PAGE:
        twin = asked[question.text.removesuffix(", with --no-html")]
        assert (twin.where, twin.kind, twin.ours) == (question.where, question.kind, "imgbatch")
