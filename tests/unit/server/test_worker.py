"""What a worker says of the tickets it holds; the rest needs a broker: tests/integration/server."""

from __future__ import annotations

from tests.support.tickets import held

from imgbatch.protocol import InProgress, decode, encode
from imgbatch.server.worker import _by_client


def test_each_client_is_told_of_its_own_images() -> None:
    tickets = [held(1, "a"), held(1, "b"), held(2, "a")]
    told = [(ticket.batch, jobs) for ticket, jobs in _by_client(tickets)]
    assert told == [("a", (1, 2)), ("b", (1,))]


def test_more_images_than_a_frame_may_name_are_told_in_several() -> None:
    """A hundred messages, the most that a worker may hold, are sixteen hundred small images."""
    told = [jobs for _, jobs in _by_client([held(job) for job in range(1600)])]
    assert [job for jobs in told for job in jobs] == list(range(1600))
    for jobs in told:
        assert decode(encode(InProgress("b", jobs, "machine"))).frame == InProgress(
            "b", jobs, "machine"
        )
