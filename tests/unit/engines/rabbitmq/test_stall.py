"""When a run says that nothing moves, and when it gives up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgbatch.broker.address import Address
from imgbatch.engines.rabbitmq.stall import QUIET_SECONDS, RunSnapshot, StallDetector
from imgbatch.errors import BrokerError, Code, NoServerError

BUSY = RunSnapshot(progress=(0, 8), problem=None, working=2, refusals=(), in_flight=8)
ALONE = replace(BUSY, working=0, in_flight=0)


def detector(limit: float | None = None) -> StallDetector:
    return StallDetector(Address("amqp://user:s3cret@broker/"), limit, 0.0)


def test_a_run_that_moves_says_nothing() -> None:
    detected = detector(limit=5.0)
    for second in range(100):
        assert detected.explain(replace(ALONE, progress=(second,)), float(second)) is None


def test_a_moment_of_quiet_is_no_reason_to_speak() -> None:
    detected = detector()
    detected.explain(ALONE, 0.0)
    assert detected.explain(ALONE, QUIET_SECONDS) is None
    assert detected.explain(ALONE, QUIET_SECONDS + 0.1) is not None


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (ALONE, "no server is listening on amqp://user@broker/"),
        (replace(ALONE, refusals=["odd computes other bits"]), "no server may take part: odd"),
        (replace(ALONE, problem="low on memory"), "low on memory"),
        (replace(BUSY, problem="low on disk"), "low on disk"),
        (BUSY, "no result for 20 s from 2 machines"),
    ],
)
def test_why_nothing_moves(snapshot: RunSnapshot, why: str) -> None:
    detected = detector()
    detected.explain(snapshot, 0.0)
    said = detected.explain(snapshot, 25.0) or ""
    assert said.startswith(why)
    assert said.endswith("; waiting, Ctrl-C to stop")
    assert "s3cret" not in said


def test_machines_that_compute_are_given_time() -> None:
    detected = detector(limit=10.0)
    detected.explain(BUSY, 0.0)
    assert detected.explain(BUSY, 19.0) is None
    assert detected.explain(BUSY, 500.0) is not None


def test_a_sentence_does_not_change_with_every_look() -> None:
    detected = detector()
    detected.explain(BUSY, 0.0)
    assert len({detected.explain(BUSY, 20.5 + tick / 10) for tick in range(90)}) == 1


def test_without_machines_the_run_gives_up_in_time() -> None:
    detected = detector(limit=10.0)
    detected.explain(ALONE, 0.0)
    detected.explain(ALONE, 10.0)
    with pytest.raises(NoServerError, match="gave up after 10 s; start one with") as caught:
        detected.explain(ALONE, 10.1)
    assert caught.value.code is Code.NO_SERVER


def test_with_a_broker_in_trouble_the_run_gives_up_in_time() -> None:
    detected = detector(limit=10.0)
    problem = replace(BUSY, problem="low on memory")
    detected.explain(problem, 0.0)
    with pytest.raises(BrokerError, match=r"low on memory; gave up after 10 s") as caught:
        detected.explain(problem, 10.1)
    assert caught.value.code is Code.BROKER_UNREACHABLE


def test_trouble_that_passes_begins_the_time_anew() -> None:
    detected = detector(limit=10.0)
    problem = replace(BUSY, problem="low on memory")
    detected.explain(problem, 0.0)
    detected.explain(problem, 9.0)
    detected.explain(BUSY, 9.5)
    assert detected.explain(problem, 19.0) is not None
