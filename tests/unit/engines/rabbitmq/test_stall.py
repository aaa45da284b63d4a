"""When a run says that nothing moves, and when it gives up."""

from __future__ import annotations

from typing import Any

import pytest

from imgbatch.broker.address import Address
from imgbatch.engines.rabbitmq.stall import QUIET_SECONDS, StallDetector
from imgbatch.errors import BrokerError, Code, NoServerError

BUSY: dict[str, Any] = {
    "done": 0,
    "in_flight": 8,
    "working": 2,
    "refusals": (),
    "problem": None,
}
ALONE = BUSY | {"working": 0, "in_flight": 0}


def detector(limit: float | None = None) -> StallDetector:
    return StallDetector(Address("amqp://user:s3cret@broker/"), limit, 0.0)


def test_a_run_that_moves_says_nothing() -> None:
    detected = detector(limit=5.0)
    for second in range(100):
        assert detected.explain(float(second), **ALONE | {"done": second}) is None


def test_a_store_that_a_machine_waits_for_is_named_before_it_lasts() -> None:
    detected, waiting = detector(limit=5.0), BUSY | {"waits_for": "a: waiting for s3://photos"}
    detected.explain(0.0, **waiting)
    assert detected.explain(QUIET_SECONDS, **waiting) is None
    why = detected.explain(QUIET_SECONDS + 0.1, **waiting) or ""
    assert why.startswith("a: waiting for s3://photos; waiting")
    assert detected.explain(9.0, **BUSY) is None


def test_a_moment_of_quiet_is_no_reason_to_speak() -> None:
    detected = detector()
    detected.explain(0.0, **ALONE)
    assert detected.explain(QUIET_SECONDS, **ALONE) is None
    assert detected.explain(QUIET_SECONDS + 0.1, **ALONE) is not None


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (ALONE, "no server is listening on amqp://user@broker/"),
        (ALONE | {"refusals": ["odd computes other bits"]}, "no server may take part: odd"),
        (ALONE | {"problem": "low on memory"}, "low on memory"),
        (BUSY | {"problem": "low on disk"}, "low on disk"),
        (BUSY, "no result for 20 s from 2 machines"),
    ],
)
def test_why_nothing_moves(snapshot: dict[str, Any], why: str) -> None:
    detected = detector()
    detected.explain(0.0, **snapshot)
    said = detected.explain(25.0, **snapshot) or ""
    assert said.startswith(why)
    assert said.endswith("; waiting, Ctrl-C to stop")
    assert "s3cret" not in said


def test_machines_that_compute_are_given_time() -> None:
    detected = detector(limit=10.0)
    detected.explain(0.0, **BUSY)
    assert detected.explain(19.0, **BUSY) is None
    assert detected.explain(500.0, **BUSY) is not None


def test_a_sentence_does_not_change_with_every_look() -> None:
    detected = detector()
    detected.explain(0.0, **BUSY)
    assert len({detected.explain(20.5 + tick / 10, **BUSY) for tick in range(90)}) == 1


def test_without_machines_the_run_gives_up_in_time() -> None:
    detected = detector(limit=10.0)
    detected.explain(0.0, **ALONE)
    detected.explain(10.0, **ALONE)
    with pytest.raises(NoServerError, match="gave up after 10 s; start one with") as caught:
        detected.explain(10.1, **ALONE)
    assert caught.value.code is Code.NO_SERVER


def test_with_a_broker_in_trouble_the_run_gives_up_in_time() -> None:
    detected = detector(limit=10.0)
    problem = BUSY | {"problem": "low on memory"}
    detected.explain(0.0, **problem)
    with pytest.raises(BrokerError, match=r"low on memory; gave up after 10 s") as caught:
        detected.explain(10.1, **problem)
    assert caught.value.code is Code.BROKER_UNREACHABLE


def test_trouble_that_passes_begins_the_time_anew() -> None:
    detected = detector(limit=10.0)
    problem = BUSY | {"problem": "low on memory"}
    detected.explain(0.0, **problem)
    detected.explain(9.0, **problem)
    detected.explain(9.5, **BUSY)
    assert detected.explain(19.0, **problem) is not None
