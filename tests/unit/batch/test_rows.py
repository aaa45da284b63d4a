from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgbatch.batch.model import Failure, Outcome, Status
from imgbatch.batch.rows import (
    OUTCOME,
    PLANNED,
    Planned,
    entry_of,
    has_size,
    planned_row,
    row_of,
    same_input,
    settled_row,
)
from imgbatch.batch.scan import Found
from imgbatch.errors import Code

FOUND = Found("caf\udce9.jpg", 10, 20, 0o644)


def test_an_outcome_comes_back_from_its_columns() -> None:
    failure = Failure(Code.EMPTY_FILE, "it is empty")
    outcome = Outcome(7, Status.FAILED, failure, 0.5, "anna", 4, 3, 2, ("a", "b"), 3)
    row = row_of(outcome, 1.5)
    assert len(row) == len(OUTCOME.split(","))
    entry = entry_of((os.fsencode("caf\udce9.jpg"), b"b.jpg", 10, 7, *row))
    assert (entry.source, entry.target, entry.size_bytes) == ("caf\udce9.jpg", "b.jpg", 10)
    assert (entry.outcome, entry.finished_seconds) == (outcome, 1.5)


def test_a_file_without_an_outcome_is_not_done() -> None:
    row = settled_row(FOUND)
    assert len(row) == len(OUTCOME.split(","))
    assert entry_of((b"a", b"a", 1, 1, *row)).outcome.status is Status.NOT_DONE


@pytest.mark.parametrize(
    ("code", "status"),
    [(Code.NOT_AN_IMAGE, Status.SKIPPED), (Code.UNREADABLE_FILE, Status.FAILED)],
)
def test_what_the_search_found_out_is_an_outcome_already(code: Code, status: Status) -> None:
    row = settled_row(Found("a", failure=Failure(code, "why")))
    outcome = entry_of((b"a", b"a", 1, 1, *row)).outcome
    assert (outcome.status, outcome.attempts) == (status, 0)


def test_the_plan_s_columns_are_in_order() -> None:
    row = planned_row(Planned(FOUND, "b.jpg", b"sum"))
    assert row == (b"caf\xe9.jpg", b"b.jpg", 10, 20, 0o644, b"sum")
    assert len(row) == len(PLANNED.split(","))


def test_an_input_is_the_same_by_size_and_time_or_by_content() -> None:
    then = planned_row(Planned(FOUND, "b.jpg", b"sum"))
    later = Found(FOUND.name, 10, 99, 0o644)
    assert same_input(then, Planned(FOUND, "b.jpg"))
    assert not same_input(then, Planned(later, "b.jpg"))
    assert same_input(then, Planned(later, "b.jpg", b"sum"))
    assert not same_input(then, Planned(FOUND, "b.jpg", b"other"))
    assert not same_input(then, Planned(Found(FOUND.name, 11, 20), "b.jpg", b"sum"))


def test_a_size_is_that_of_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"xyz")
    assert has_size(tmp_path / "a", 3)
    assert not has_size(tmp_path / "a", 4)
    assert not has_size(tmp_path / "b", 0)
