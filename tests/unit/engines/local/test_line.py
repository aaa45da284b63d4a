from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from imgbatch.batch.model import Job
from imgbatch.engines.local.crew import Attempt
from imgbatch.engines.local.line import PATIENCE, Line


def attempt(index: int, size_bytes: int) -> Attempt:
    return Attempt(Job(index, Path("in"), Path("out"), size_bytes, 0, 0o644))


@given(st.lists(st.integers(0, 5)))
def test_the_largest_goes_first_and_of_equals_the_first(sizes: list[int]) -> None:
    line = Line()
    line.add(attempt(index, size) for index, size in enumerate(sizes))
    assert len(line) == len(sizes)
    taken = [line.take().job for _ in sizes]
    assert [(job.size_bytes, job.index) for job in taken] == sorted(
        ((size, index) for index, size in enumerate(sizes)), key=lambda pair: (-pair[0], pair[1])
    )
    assert len(line) == 0


def test_no_image_is_overtaken_for_ever() -> None:
    line = Line()
    line.add([attempt(0, 1)])
    taken = []
    for index in range(1, 2 * PATIENCE):
        line.add([attempt(index, 9)])
        taken.append(line.take().job.index)
    assert taken.index(0) == PATIENCE


def test_nobody_waits_in_a_line_that_was_cleared() -> None:
    line = Line()
    line.add([attempt(0, 9)])
    line.clear()
    assert len(line) == 0
    line.add([attempt(1, 2)])
    assert line.take().job.index == 1
