from __future__ import annotations

import pytest

from imgbatch.cli.pace import Pace


def test_nothing_noted_is_no_speed() -> None:
    pace = Pace()
    assert pace.images_per_second == pace.bytes_per_second == 0
    assert pace.seconds_left(100) is None


def test_a_steady_run_ends_when_it_will() -> None:
    pace = Pace()
    for second in range(11):
        pace.note(100.0 + second, 3 * second, 30 * second)
    assert pace.images_per_second == pytest.approx(3)
    assert pace.bytes_per_second == pytest.approx(30)
    assert pace.seconds_left(900) == pytest.approx(30)


def test_the_first_moments_promise_nothing() -> None:
    pace = Pace()
    pace.note(0.0, 0, 0)
    pace.note(1.0, 5, 500)
    assert pace.seconds_left(1000) is None


def test_a_run_that_stands_promises_nothing() -> None:
    pace = Pace()
    for second in range(60):
        pace.note(float(second), 7, 70)
    assert pace.seconds_left(1000) is None


def test_only_the_last_while_counts() -> None:
    pace = Pace()
    for second in range(200):
        pace.note(float(second), 100 * second, 1000 * second)
    for second in range(200, 240):
        pace.note(float(second), 20_000 + second, 200_000 + 10 * second)
    assert pace.images_per_second == pytest.approx(1, rel=0.01)


def test_one_small_file_says_nothing_of_a_large_folder() -> None:
    pace = Pace()
    pace.note(0.0, 0, 0)
    pace.note(5.0, 1, 800)
    assert pace.seconds_left(2_000_000) is None
    assert pace.seconds_left(8_000) == 50.0
