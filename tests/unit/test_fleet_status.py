"""Who listens on a broker: the answers to one call, collected."""

from __future__ import annotations

import json

import pytest
from tests.support.frames import announcement, news
from tests.support.rabbitmq import free_port

from imgbatch.errors import BrokerError, Code, UsageError
from imgbatch.fleet_status import MOST_HEARD, STALE_SECONDS, Heard, Observer
from imgbatch.protocol.frames import Discover


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_the_last_that_was_heard_counts(heard: Heard) -> None:
    heard.hear(announcement(busy=1), 0.0)
    heard.hear(announcement(busy=2), 3.0)
    heard.hear(news(done=5), 1.0)
    heard.hear(news(done=6), 4.0)
    fields = heard.fields(4.0)
    assert [machine["busy"] for machine in fields["machines"]] == [2]
    assert [batch["done"] for batch in fields["batches"]] == [6]


def test_who_leaves_or_has_ended_is_gone(heard: Heard) -> None:
    heard.hear(announcement(), 0.0)
    heard.hear(news(), 0.0)
    heard.hear(announcement(leaving=True), 1.0)
    heard.hear(news(ended=True), 1.0)
    assert heard.fields(1.0) == {"machines": [], "batches": []}


def test_who_has_said_nothing_for_a_while_is_gone(heard: Heard) -> None:
    heard.hear(announcement(machine="a"), 0.0)
    heard.hear(announcement(machine="b"), 5.0)
    heard.hear(announcement(machine="seldom", interval_seconds=20.0), 0.0)
    heard.hear(news(batch="c"), 0.0)
    fields = heard.fields(STALE_SECONDS + 1.0)
    assert [machine["machine"] for machine in fields["machines"]] == ["b", "seldom"]
    assert fields["batches"] == []


def test_of_very_many_those_are_remembered_that_were_heard_of_last(heard: Heard) -> None:
    for number in range(MOST_HEARD):
        heard.hear(announcement(machine=f"m{number}"), 0.0)
    heard.hear(announcement(machine="m0"), 0.0)
    heard.hear(announcement(machine="new"), 0.0)
    machines = {machine["machine"] for machine in heard.fields(0.0)["machines"]}
    assert len(machines) == MOST_HEARD
    assert {"m0", "new"} <= machines
    assert "m1" not in machines


def test_other_frames_are_not_looked_at(heard: Heard) -> None:
    heard.hear(Discover("status"), 0.0)
    assert heard == Heard()


def test_machines_come_by_name_and_batches_by_age(heard: Heard) -> None:
    for name, machine in (("b", "b-1"), ("a", "a-2"), ("a", "a-1")):
        heard.hear(announcement(name=name, machine=machine), 0.0)
    for batch, seconds in (("young", 1.0), ("old", 9.0)):
        heard.hear(news(batch=batch, seconds=seconds), 0.0)
    fields = heard.fields(0.0)
    assert [machine["machine"] for machine in fields["machines"]] == ["a-1", "a-2", "b-1"]
    assert [batch["batch"] for batch in fields["batches"]] == ["old", "young"]


def test_what_was_heard_is_plain_values(heard: Heard) -> None:
    heard.hear(announcement(), 0.0)
    heard.hear(news(), 0.0)
    fields = json.loads(json.dumps(heard.fields(0.0)))
    assert fields["machines"][0]["components"] == {"imgbatch": "1.0.0", "numba": "0.62.1"}
    assert fields["batches"][0]["scanning"] is True


def test_where_no_broker_answers_the_reason_is_told_without_the_password() -> None:
    observer = Observer(f"amqp://user:s3cret@127.0.0.1:{free_port()}/")
    try:
        with pytest.raises(BrokerError, match="no broker is answering") as caught:
            observer.start(timeout_seconds=0.5)
    finally:
        observer.stop()
    assert caught.value.code is Code.BROKER_UNREACHABLE
    assert "s3cret" not in str(caught.value)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError):
        Observer("http://broker/")
