"""The model on paper: a run takes as long as its busiest party."""

from __future__ import annotations

import pytest
from bench.model import Costs, fitted_price

COSTS = Costs(server=12.0, broker=0.5, client=1.0, images=100, size_bytes=1e8, largest_bytes=1e7)


def test_few_machines_take_as_long_as_their_work_needs() -> None:
    assert COSTS.seconds(2, 0.5) == pytest.approx(12.0)


def test_many_machines_wait_for_the_one_that_has_the_largest_image() -> None:
    assert COSTS.seconds(1000, 0.5) == pytest.approx(2.4)


def test_fast_machines_wait_for_the_busiest_of_broker_and_client() -> None:
    assert COSTS.seconds(1000, 50.0) == pytest.approx(1.0)


def test_the_broker_is_full_where_both_take_equally_long() -> None:
    cores = COSTS.saturating_cores
    assert COSTS.seconds(1, cores) == pytest.approx(COSTS.bound)


def test_the_price_makes_the_model_meet_one_machine() -> None:
    price = fitted_price(COSTS, 0.5, alone_seconds=26.0)
    assert COSTS.seconds(1, 0.5, price) == pytest.approx(26.0)
