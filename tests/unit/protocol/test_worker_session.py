"""What a worker does about each ticket, one rule at a time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.frames import ticket

from imgbatch.protocol import worker_session as worker
from imgbatch.protocol.codec import Received
from imgbatch.protocol.delivery import Answer, Settle
from imgbatch.protocol.frames import Cancel, Chunk, Fetch, InProgress, Returned, Ticket
from imgbatch.protocol.slicing import pieces
from imgbatch.protocol.worker_session import (
    FETCH_SECONDS,
    FETCH_TIMES,
    HELD_BYTES,
    TRANSITIONS,
    TicketEvent,
    TicketState,
    WorkerSession,
)

LIMIT = 1000
IMAGE = b"abcd"


def requeue(delivery: object) -> Settle:
    return Settle(delivery, Answer.REQUEUE)


class Worker:
    """A session that serves the batches a and b, and its actions by kind."""

    def __init__(self, max_bytes: int = LIMIT) -> None:
        self.session = WorkerSession("m", max_bytes)
        self.session.connected("inbox", 0.0)
        self.session.serve("a")
        self.session.serve("b")
        self.handed_out: list[worker.PendingTicket] = []
        self.asked: dict[int, Fetch] = {}

    def do(self, actions: list[worker.Action]) -> list[Any]:
        """Note what is computed and asked for, and return all other actions."""
        others: list[Any] = []
        for action in actions:
            if isinstance(action, worker.Compute):
                self.handed_out.append(action.pending)
            elif isinstance(action, worker.Send) and isinstance(action.frame, Fetch):
                assert action.needed
                self.asked[action.frame.job] = action.frame
            else:
                others.append(action)
        return others

    def take(
        self,
        job: int = 0,
        batch: str = "b",
        *,
        size_bytes: int = len(IMAGE),
        image: bytes = b"",
        redelivered: bool = False,
        now: float = 0.0,
    ) -> list[Any]:
        frame = ticket(batch=batch, job=job, size_bytes=size_bytes)
        received = Received(frame, memoryview(image))
        return self.do(self.session.take(batch, received, f"d{job}", redelivered, now))

    def send(self, job: int, image: bytes = IMAGE, now: float = 1.0) -> None:
        fetch = self.asked[job]
        for offset, piece in pieces(image, 3):
            chunk = Chunk(fetch.batch, job, fetch.transfer, offset, len(image))
            self.do(self.session.receive(chunk, piece, now))

    def compute(self, now: float = 1.0) -> int:
        """Compute what is handed out first, have its result confirmed, and return its number."""
        pending = self.handed_out.pop(0)
        self.do(self.session.computed(pending, now))
        actions = self.do(self.session.answered(pending, now, confirmed=True))
        assert actions == [Settle(pending.delivery)]
        return pending.ticket.job


def test_the_table_answers_each_ticket_once() -> None:
    """The broker is told of a ticket when it goes, and only then; what is gone has no row."""
    for (state, event), (following, answer) in TRANSITIONS.items():
        assert state is not TicketState.GONE
        assert (answer is not None) == (
            following is TicketState.GONE and event is not TicketEvent.LOSE
        )


def test_nothing_takes_back_what_is_computed_or_answered() -> None:
    for state in (TicketState.COMPUTING, TicketState.ANSWERED):
        for event in (TicketEvent.CANCEL, TicketEvent.RELEASE, TicketEvent.LOSE):
            assert (state, event) not in TRANSITIONS


def test_an_image_in_its_ticket_is_computed_without_asking() -> None:
    it = Worker()
    assert it.take(image=IMAGE) == []
    assert it.asked == {}
    assert it.handed_out[0].image == IMAGE
    assert it.compute() == 0
    assert it.session.pending == []


def test_an_image_that_did_not_ride_along_is_fetched() -> None:
    it = Worker()
    it.take(size_bytes=4)
    assert not it.asked[0].begins
    assert it.asked[0].queue == "inbox"
    it.send(0)
    assert it.handed_out[0].image == IMAGE


def test_an_acknowledgement_waits_until_the_result_is_confirmed() -> None:
    it = Worker()
    it.take(image=IMAGE)
    assert it.do(it.session.computed(it.handed_out[0], 1.0)) == []
    actions = it.do(it.session.answered(it.handed_out[0], 2.0, confirmed=True))
    assert actions == [Settle("d0")]


def test_a_confirm_may_be_heard_of_before_the_end_of_the_computing() -> None:
    it = Worker()
    it.take(image=IMAGE)
    actions = it.do(it.session.answered(it.handed_out[0], 1.0, confirmed=True))
    assert actions == [Settle("d0")]
    assert it.do(it.session.computed(it.handed_out[0], 2.0)) == []
    it.take(1, image=IMAGE)
    assert len(it.handed_out) == 2


def test_a_result_that_no_queue_takes_gives_all_back_and_leaves_the_batch() -> None:
    it = Worker()
    it.take(0, image=IMAGE)
    it.take(1)
    it.do(it.session.computed(it.handed_out[0], 1.0))
    actions = it.do(it.session.answered(it.handed_out[0], 2.0, confirmed=False))
    assert actions[:3] == [
        requeue("d0"),
        worker.LeaveBatch("b"),
        requeue("d1"),
    ]
    assert actions[3].frame == Returned("b", (1,), "m")
    assert it.session.client_gone("b", 3.0) == []
    assert it.take(2) == [requeue("d2")]


def test_a_redelivered_ticket_is_asked_for_when_nothing_is_computed_and_begun_alone() -> None:
    it = Worker()
    it.take(0, image=IMAGE)
    it.take(1, redelivered=True, image=IMAGE)
    it.take(2, image=IMAGE)
    assert it.asked == {}
    assert it.compute() == 0
    assert it.asked[1].begins
    assert [pending.ticket.job for pending in it.handed_out] == [2]
    it.send(1)
    assert len(it.handed_out) == 1
    assert it.compute() == 2
    assert it.compute() == 1


def test_a_client_that_is_silent_about_its_redelivered_tickets_holds_up_nobody() -> None:
    it = Worker()
    for job in range(3):
        it.take(job, "a", redelivered=True)
    done = []
    for job in range(3, 40):
        it.take(job, "b", image=IMAGE)
        done.append(it.compute())
        it.do(it.session.tick(job * 5.0))
    assert done == list(range(3, 40))


def test_batches_take_turns() -> None:
    it = Worker()
    for job in range(5):
        it.take(job, "a", image=IMAGE)
    for job in range(5, 7):
        it.take(job, "b", image=IMAGE)
    # Two were handed out before the other batch came.
    assert [it.compute() for _ in range(7)] == [0, 1, 2, 5, 3, 6, 4]


def test_what_was_handed_out_and_not_begun_is_given_back() -> None:
    it = Worker()
    for job in range(3):
        it.take(job, image=IMAGE)
    begun, ahead = it.handed_out
    it.session.recall(ahead)
    actions = it.do(it.session.leave("b", 1.0))
    assert actions[:2] == [requeue("d1"), requeue("d2")]
    assert [pending is begun for pending in it.session.pending] == [True]


def test_a_lost_connection_loses_what_was_not_begun_and_blames_no_image() -> None:
    it = Worker()
    it.take(0, image=IMAGE)
    it.take(1)
    (returned,) = it.do(it.session.connection_lost(1.0))
    assert returned.frame == Returned("b", (0, 1), "m")
    assert [pending.ticket.job for pending in it.session.pending] == [0]
    assert it.compute() == 0


@pytest.mark.parametrize("redelivered", [True, False])
def test_nothing_is_asked_for_before_there_is_a_queue_for_the_answer(redelivered: bool) -> None:
    it = Worker()
    it.session.connection_lost(1.0)
    it.take(redelivered=redelivered)
    assert it.asked == {}
    it.do(it.session.connected("another", 2.0))
    assert it.asked[0].queue == "another"


def test_a_deleted_queue_ends_the_batch_without_a_word() -> None:
    it = Worker()
    it.take(1)
    assert it.do(it.session.queue_gone("b", 1.0)) == []
    assert it.session.pending == []
    assert it.take(2) == [requeue("d2")]


def test_a_worker_that_drains_gives_back_what_it_has_not_begun() -> None:
    it = Worker()
    it.take(1, "a")
    it.take(2, "b")
    actions = it.do(it.session.drain(1.0))
    assert actions[:2] == [requeue("d1"), requeue("d2")]
    assert {action.frame.batch for action in actions[2:]} == {"a", "b"}


def test_a_cancelled_ticket_is_acknowledged_once() -> None:
    it = Worker()
    it.take(redelivered=True)
    cancel = Cancel("b", 0, it.asked[0].transfer)
    assert it.do(it.session.receive(cancel, memoryview(b""), 1.0)) == [Settle("d0")]
    assert it.do(it.session.receive(cancel, memoryview(b""), 1.0)) == []


@pytest.mark.parametrize(
    "frame",
    [Chunk("b", 1, 1, 0, 4), Chunk("a", 0, 1, 0, 4), Chunk("b", 0, 99, 0, 4), Cancel("b", 1, 1)],
    ids=["another job", "another batch", "another transfer", "a cancel of another job"],
)
def test_what_fits_no_ticket_is_passed_over(frame: Chunk | Cancel) -> None:
    it = Worker()
    it.take()
    assert it.do(it.session.receive(frame, memoryview(IMAGE), 1.0)) == []
    it.send(0)
    assert it.handed_out[0].image == IMAGE


def test_pieces_that_do_not_fit_are_passed_over_and_the_right_ones_taken() -> None:
    it = Worker()
    it.take(size_bytes=8)
    transfer = it.asked[0].transfer
    for offset, size in ((0, 9), (4, 8), (0, 4)):
        lie = Chunk("b", 0, transfer, offset, size)
        assert it.do(it.session.receive(lie, memoryview(b"ab"), 1.0)) == []
    too_long = Chunk("b", 0, transfer, 0, 8)
    assert it.do(it.session.receive(too_long, memoryview(b"123456789"), 1.0)) == []
    it.send(0, b"abcdefgh")
    assert it.handed_out[0].image == b"abcdefgh"


def test_an_image_of_which_a_piece_was_lost_is_asked_for_again_without_another_claim() -> None:
    it = Worker()
    it.take(size_bytes=9, redelivered=True)
    first = it.asked[0]
    for offset in (0, 6):
        piece = Chunk("b", 0, first.transfer, offset, 9)
        it.do(it.session.receive(piece, memoryview(b"abc"), 1.0))
    it.do(it.session.tick(1.0 + FETCH_SECONDS))
    assert (first.begins, it.asked[0].begins) == (True, False)
    it.send(0, b"abcdefghi")
    assert it.handed_out[0].image == b"abcdefghi"


def test_an_image_over_the_limit_is_begun_without_it() -> None:
    it = Worker()
    it.take(size_bytes=LIMIT + 1, redelivered=True)
    assert it.asked == {}
    assert it.compute() == 0


@pytest.mark.parametrize("frame", [ticket(batch="a"), Cancel("b", 1, 1)], ids=["another", "none"])
def test_what_is_no_ticket_of_the_batch_is_rejected(frame: Ticket | Cancel) -> None:
    received = Received(frame, memoryview(b""))
    assert Worker().session.take("b", received, "d", False, 0.0) == [Settle("d", Answer.REJECT)]


def test_what_shows_no_sign_is_asked_for_again_under_the_same_number_and_then_given_up() -> None:
    it = Worker()
    it.take(size_bytes=6)
    transfer = it.asked[0].transfer
    it.do(it.session.receive(Chunk("b", 0, transfer, 0, 6), memoryview(b"abc"), 5.0))
    now = 5.0
    assert it.do(it.session.tick(now + FETCH_SECONDS - 0.1)) == []
    for _ in range(FETCH_TIMES - 1):
        it.asked.clear()
        now += FETCH_SECONDS
        assert it.do(it.session.tick(now)) == []
        assert it.asked[0].transfer == transfer
    actions = it.do(it.session.tick(now + FETCH_SECONDS))
    assert actions[0] == requeue("d0")
    assert actions[1].frame == Returned("b", (0,), "m")


def test_clients_are_told_of_what_is_held_for_long_and_of_nothing_else() -> None:
    it = Worker()
    it.take(0, "a", now=0.0)
    it.take(1, "b", image=IMAGE, now=0.0)
    it.take(2, "b", now=5.0)
    told = it.do(it.session.in_progress(6.0))
    assert [action.frame for action in told] == [
        InProgress("a", (0,), "m"),
        InProgress("b", (1,), "m"),
    ]
    assert not any(action.needed for action in told)
    assert it.session.in_progress(10.9) == []
    assert len(it.session.in_progress(11.1)) == 2


def test_a_frame_names_a_thousand_images_at_most() -> None:
    it = Worker()
    for job in range(2001):
        it.take(job, now=0.0)
    told = it.do(it.session.in_progress(10.0))
    assert [len(action.frame.jobs) for action in told] == [1000, 1000, 1]


LARGE = HELD_BYTES // 2


def test_no_more_is_asked_for_than_may_be_held_of_all_batches_together() -> None:
    it = Worker(HELD_BYTES)
    for job, batch in enumerate("abab"):
        it.take(job, batch, size_bytes=LARGE)
    assert set(it.asked) == {0, 1}
    it.do(it.session.receive(Cancel("a", 0, it.asked[0].transfer), memoryview(b""), 1.0))
    assert set(it.asked) == {0, 1, 2}


def test_an_image_as_large_as_all_that_may_be_held_is_fetched_alone() -> None:
    it = Worker(2 * HELD_BYTES)
    it.take(0, size_bytes=2 * HELD_BYTES)
    it.take(1, size_bytes=2 * HELD_BYTES)
    assert set(it.asked) == {0}


def test_images_in_tickets_count_as_well_and_are_fetched_later_if_there_is_no_room() -> None:
    it = Worker(HELD_BYTES)
    image = bytes(LARGE)
    for job in range(3):
        it.take(job, size_bytes=LARGE, image=image)
    assert [pending.held_bytes for pending in it.session.pending] == [LARGE, LARGE, 0]
    assert not it.asked
    assert it.compute() == 0
    assert list(it.asked) == [2]


def test_a_silent_client_gives_up_its_room_to_others() -> None:
    it = Worker(HELD_BYTES)
    it.take(0, "a", size_bytes=HELD_BYTES)
    it.take(1, "b", size_bytes=LARGE)
    it.take(2, "b", image=IMAGE)
    assert set(it.asked) == {0}
    assert it.compute() == 2
    it.do(it.session.tick(FETCH_SECONDS))
    assert set(it.asked) == {0, 1}


def test_memory_is_taken_as_pieces_come_and_not_as_announced() -> None:
    session = Worker(HELD_BYTES)
    session.take(0, size_bytes=HELD_BYTES)
    chunk = Chunk("b", 0, session.asked[0].transfer, 0, HELD_BYTES)
    session.do(session.session.receive(chunk, memoryview(b"x" * 100), 1.0))
    (pending,) = session.session.pending
    assert pending.arrived == b"x" * 100
