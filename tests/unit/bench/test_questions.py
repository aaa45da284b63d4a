"""Answers are computed from a results file, and only a clear loss counts as a regression."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.compare import regressions
from bench.harness.results import Measure, Race, Results
from bench.questions import Kind, Question, answer
from bench.report import document_of

TOKYO = Question("Tokyo?", Kind.TIMES, "local/tokyo", "imgbatch", "opencv pool", 1.3, 1.6)


def results_with(ours: list[float], theirs: list[float]) -> Results:
    race = Race("local/tokyo", {"imgbatch": ours, "opencv pool": theirs})
    return Results(races={race.name: race})


@pytest.mark.parametrize(
    ("theirs", "verdict"), [(1.0, "missed"), (1.4, "floor met"), (1.7, "aim met")]
)
def test_a_verdict_sets_the_median_against_floor_and_aim(theirs: float, verdict: str) -> None:
    assert answer(TOKYO, results_with([1.0] * 4, [theirs] * 4)).verdict == verdict


def test_of_a_ceiling_less_is_better() -> None:
    question = Question("Start?", Kind.SECONDS, "start", "imgbatch", "", 2.0, 1.2)
    found = answer(question, Results(races={"start": Race("start", {"imgbatch": [1.5, 1.6, 1.4]})}))
    assert found.found is not None
    assert (found.found.median, found.verdict) == (1.5, "floor met")


def test_contenders_that_take_fewer_images_are_compared_by_the_image() -> None:
    race = Race("r", {"imgbatch": [10.0], "paper": [80.0]}, {"imgbatch": 10, "paper": 8})
    question = Question("Times?", Kind.TIMES, "r", "imgbatch", "paper")
    found = answer(question, Results(races={"r": race})).found
    assert found is not None
    assert found.median == pytest.approx(10.0)


def test_the_time_saved_is_a_share_of_one_machine() -> None:
    race = Race("m", {"imgbatch x1": [10.0, 10.0], "imgbatch x2": [6.0, 6.0]})
    question = Question("Saved?", Kind.SAVED, "m", "imgbatch x2", "imgbatch x1")
    found = answer(question, Results(races={"m": race})).found
    assert found is not None
    assert found.median == pytest.approx(0.4)


def test_bytes_are_compared_as_they_were_counted() -> None:
    measures = {
        "protocol/imgbatch": Measure("protocol/imgbatch", 2.0e6, "B"),
        "protocol/json": Measure("protocol/json", 40.0e6, "B"),
    }
    question = Question("Bytes?", Kind.BYTES, "protocol", "imgbatch", "json", 40)
    found = answer(question, Results(measures=measures))
    assert found.found is not None
    assert (found.found.median, found.verdict) == (20.0, "missed")


def test_what_could_not_take_part_says_why() -> None:
    race = Race("local/tokyo", {"imgbatch": [1.0]}, {}, {"opencv pool": "not installed\nat all"})
    found = answer(TOKYO, Results(races={race.name: race}))
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
    with pytest.raises(ValueError, match=r"results\.json is no results file of format 1"):
        Results.load(path)


def test_the_document_shows_a_losing_row_and_what_was_not_measured() -> None:
    text = document_of(results_with([2.0] * 4, [1.0] * 4)).text
    assert "| Local engine against an OpenCV pool, Tokyo | 0.500" in text
    assert "missed: Local engine against an OpenCV pool, Tokyo" in text
    assert "not measured: its suite was not run" in text
