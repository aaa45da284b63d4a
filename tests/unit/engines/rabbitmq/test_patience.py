"""When a run says that nothing moves, and when it gives up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgbatch.broker.address import Address
from imgbatch.engines.rabbitmq.patience import QUIET_SECONDS, Patience, Situation
from imgbatch.errors import BrokerError, Code, NoServerError

BUSY = Situation(progress=(0, 8), trouble=None, working=2, refusals=(), in_flight=8)
ALONE = replace(BUSY, working=0, in_flight=0)


def patience(limit: float | None = None) -> Patience:
    return Patience(Address("amqp://user:s3cret@broker/"), limit, 0.0)


def test_a_run_that_moves_says_nothing() -> None:
    watched = patience(limit=5.0)
    for second in range(100):
        assert watched.look(replace(ALONE, progress=(second,)), float(second)) is None


def test_a_moment_of_quiet_is_no_reason_to_speak() -> None:
    watched = patience()
    watched.look(ALONE, 0.0)
    assert watched.look(ALONE, QUIET_SECONDS) is None
    assert watched.look(ALONE, QUIET_SECONDS + 0.1) is not None


@pytest.mark.parametrize(
    ("situation", "why"),
    [
        (ALONE, "no server is listening on amqp://user@broker/"),
        (replace(ALONE, refusals=["odd computes other bits"]), "no server may take part: odd"),
        (replace(ALONE, trouble="low on memory"), "low on memory"),
        (replace(BUSY, trouble="low on disk"), "low on disk"),
        (BUSY, "no result for 20 s from 2 machines"),
    ],
)
def test_why_nothing_moves(situation: Situation, why: str) -> None:
    watched = patience()
    watched.look(situation, 0.0)
    said = watched.look(situation, 25.0) or ""
    assert said.startswith(why)
    assert said.endswith("; waiting, Ctrl-C to stop")
    assert "s3cret" not in said


def test_machines_that_compute_are_given_time() -> None:
    watched = patience(limit=10.0)
    watched.look(BUSY, 0.0)
    assert watched.look(BUSY, 19.0) is None
    assert watched.look(BUSY, 500.0) is not None


def test_a_sentence_does_not_change_with_every_look() -> None:
    watched = patience()
    watched.look(BUSY, 0.0)
    assert len({watched.look(BUSY, 20.5 + tick / 10) for tick in range(90)}) == 1


def test_without_machines_the_run_gives_up_in_time() -> None:
    watched = patience(limit=10.0)
    watched.look(ALONE, 0.0)
    watched.look(ALONE, 10.0)
    with pytest.raises(NoServerError, match="gave up after 10 s; start one with") as caught:
        watched.look(ALONE, 10.1)
    assert caught.value.code is Code.NO_SERVER


def test_with_a_broker_in_trouble_the_run_gives_up_in_time() -> None:
    watched = patience(limit=10.0)
    trouble = replace(BUSY, trouble="low on memory")
    watched.look(trouble, 0.0)
    with pytest.raises(BrokerError, match=r"low on memory; gave up after 10 s") as caught:
        watched.look(trouble, 10.1)
    assert caught.value.code is Code.BROKER_UNREACHABLE


def test_trouble_that_passes_begins_the_time_anew() -> None:
    watched = patience(limit=10.0)
    trouble = replace(BUSY, trouble="low on memory")
    watched.look(trouble, 0.0)
    watched.look(trouble, 9.0)
    watched.look(BUSY, 9.5)
    assert watched.look(trouble, 19.0) is not None
