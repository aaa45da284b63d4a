"""Runs take turns, and ratios are taken inside each turn."""

from __future__ import annotations

import pytest
from bench.harness.ratios import in_turn, paired, ratio_of


def test_every_second_round_runs_backwards() -> None:
    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return 1.0

    in_turn({"a": lambda: run("a"), "b": lambda: run("b")}, 3)
    assert "".join(order) == "abbaab"


def test_a_run_with_fewer_rounds_sits_out_the_last_ones() -> None:
    times = in_turn({"fast": lambda: 1.0, "slow": lambda: 9.0}, {"fast": 3, "slow": 1})
    assert times == {"fast": [1.0, 1.0, 1.0], "slow": [9.0]}


def test_a_warm_up_is_run_and_not_counted() -> None:
    clock = iter([5.0, 1.0, 2.0])
    assert in_turn({"a": lambda: next(clock)}, 2, warm_up=1) == {"a": [1.0, 2.0]}


def test_noise_that_meets_both_sides_of_a_turn_leaves_the_ratio_alone() -> None:
    ratio = ratio_of([2.0, 20.0, 4.0, 2.0], [1.0, 10.0, 2.0, 1.0])
    assert (ratio.median, ratio.low, ratio.high, ratio.n) == (2.0, 2.0, 2.0, 4)


def test_of_fewer_than_four_ratios_the_spread_is_the_extremes() -> None:
    ratio = ratio_of([2.0, 3.0, 9.0], [1.0, 1.0, 1.0])
    assert (ratio.median, ratio.low, ratio.high) == (3.0, 2.0, 9.0)


def test_times_of_rounds_that_one_side_sat_out_are_left_out() -> None:
    assert ratio_of([8.0], [2.0, 100.0]).median == pytest.approx(4.0)


def test_paired_calls_take_turns_and_the_warm_up_is_not_counted() -> None:
    order: list[str] = []
    ratio = paired(lambda: order.append("a"), lambda: order.append("b"), rounds=2, warm_up=1)
    assert ("".join(order), ratio.n) == ("baabba", 2)
