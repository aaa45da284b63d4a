"""For whom a machine works, and until when."""

from __future__ import annotations

import pytest
from tests.support.frames import enlistment

from imgbatch.server.leases import LONGEST_LEASE_SECONDS, Leases
from imgbatch.server.messages import Serve


@pytest.fixture
def leases() -> Leases:
    return Leases()


def test_an_enlistment_begins_a_lease_and_the_next_one_renews_it(leases: Leases) -> None:
    assert leases.renew(enlistment(batch="a", lease_seconds=30), 100.0)
    assert not leases.renew(enlistment(batch="a", lease_seconds=30), 120.0)
    assert len(leases) == 1
    assert "a" in leases
    assert leases.topic("a") == enlistment().topic
    assert leases.expired(140.0) == []
    assert leases.expired(151.0) == ["a"]


def test_a_batch_that_names_another_queue_is_new(leases: Leases) -> None:
    leases.renew(enlistment(queue="imgbatch.batch.1"), 0.0)
    assert leases.renew(enlistment(queue="imgbatch.batch.2"), 1.0)
    assert leases.commands() == [Serve(enlistment().batch, "imgbatch.batch.2")]


def test_no_client_gets_a_lease_for_ever(leases: Leases) -> None:
    leases.renew(enlistment(batch="a", lease_seconds=2**53), 0.0)
    assert leases.expired(LONGEST_LEASE_SECONDS + 1.0) == ["a"]


def test_a_lease_ends_once(leases: Leases) -> None:
    leases.renew(enlistment(batch="a"), 0.0)
    assert leases.end("a")
    assert not leases.end("a")
    assert leases.topic("a") is None
    assert len(leases) == 0


def test_a_new_worker_is_told_of_all_batches(leases: Leases) -> None:
    for batch in "ab":
        leases.renew(enlistment(batch=batch, queue=f"imgbatch.batch.{batch}"), 0.0)
    assert leases.commands() == [Serve("a", "imgbatch.batch.a"), Serve("b", "imgbatch.batch.b")]
