"""The model on paper: a run takes as long as its busiest party."""

from __future__ import annotations

import pytest
from bench.model import costs_of, modelled_seconds, saturating_cores

COSTS = {"server": 12.0, "broker": 0.5, "client": 1.0, "bytes": 1e8, "largest": 1e7}


def test_few_machines_take_as_long_as_their_work_needs() -> None:
    assert modelled_seconds(COSTS, 2, 0.5) == pytest.approx(12.0)


def test_many_machines_wait_for_the_one_that_has_the_largest_image() -> None:
    assert modelled_seconds(COSTS, 1000, 0.5) == pytest.approx(2.4)


def test_fast_machines_wait_for_the_busiest_of_broker_and_client() -> None:
    assert modelled_seconds(COSTS, 1000, 50.0) == pytest.approx(1.0)


def test_the_broker_is_full_where_both_take_equally_long() -> None:
    assert modelled_seconds(COSTS, 1, saturating_cores(COSTS)) == pytest.approx(1.0)


def test_costs_are_those_of_one_set() -> None:
    measures = {"costs/tokyo/server": 4.0, "costs/crops/server": 2.0, "memory/worker": 1e8}
    assert costs_of(measures, "tokyo") == {"server": 4.0}
