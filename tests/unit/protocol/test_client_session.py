"""What a client does about each image in flight, one rule at a time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.frames import result

from imgbatch.errors import Code, FileError
from imgbatch.protocol import client_session as client
from imgbatch.protocol.client_session import (
    MAX_ATTEMPTS,
    MOST_MESSAGES,
    MOST_SENDINGS,
    SILENT_SECONDS,
    ClientSession,
)
from imgbatch.protocol.delivery import Settle
from imgbatch.protocol.frames import (
    Cancel,
    Chunk,
    Fetch,
    Frame,
    InProgress,
    Result,
    Returned,
    Thumbnails,
    WorkerCrashed,
)
from imgbatch.protocol.in_flight import MOST_CLAIMANTS, InFlightJob
from imgbatch.protocol.slicing import LARGEST_THUMBNAILS_BYTES

BATCH = "b"


class Client:
    """A session with some images in flight, each alone in its message, and its actions by kind."""

    def __init__(self, images: int = 1) -> None:
        self.session = ClientSession(BATCH)
        self.session.workers_changed(1)
        (*_,) = self.session.tick(0.0, connected=True)
        actions = self.session.drawn([[(index, None)] for index in range(images)], 0.0)
        self.jobs = [it.jobs[0] for it in actions if isinstance(it, client.Offer)]

    def hear(self, frame: Frame, payload: bytes = b"", now: float = 1.0) -> list[Any]:
        actions = self.session.receive(frame, memoryview(payload), "delivery", now)
        return [it for it in actions if not isinstance(it, Settle | client.Draw)]

    def ask(
        self, index: int = 0, transfer: int = 1, *, begins: bool = True, now: float = 1.0
    ) -> Any:
        (action,) = self.hear(Fetch(BATCH, index, "worker", transfer, begins, "m"), now=now)[:1]
        self.session.sent(index, "worker", transfer, now)
        return action

    def offered_again(self, now: float) -> list[int]:
        actions = self.session.tick(now, connected=True)
        return [it.jobs[0].index for it in actions if isinstance(it, client.Offer)]


def results(data: bytes, transfer: int = 5, index: int = 0, at: int = 3) -> list[Any]:
    size = len(data)
    first = result(batch=BATCH, job=index, transfer=transfer, size_bytes=size)
    return [(first, data[:at]), (Chunk(BATCH, index, transfer, at, size), data[at:])]


def test_a_result_is_written_piece_by_piece_and_closes_its_image() -> None:
    it = Client()
    (first,) = it.hear(*results(b"abcdef")[0])
    (last,) = it.hear(*results(b"abcdef")[1])
    assert (first.is_first, first.is_last, bytes(first.payload)) == (True, False, b"abc")
    assert (last.is_first, last.is_last, bytes(last.payload)) == (False, True, b"def")
    assert last.delivery == "delivery"
    assert len(it.session) == 1
    it.session.ended([0])
    assert len(it.session) == 0


def test_a_result_that_comes_twice_is_acknowledged_and_no_more() -> None:
    it = Client()
    for transfer in (5, 6):
        for frame, payload in results(b"abcdef", transfer):
            again = it.session.receive(frame, memoryview(payload), 7, 1.0)
    assert again == [Settle(7)]
    it.session.ended([0])
    assert it.hear(*results(b"abcdef")[0]) == []


def test_pieces_that_come_twice_are_written_once() -> None:
    it = Client()
    pieces = [results(b"abcdef")[number] for number in (0, 0, 1, 1)]
    assert [len(it.hear(*piece)) for piece in pieces] == [1, 0, 1, 0]


def test_another_workers_result_takes_the_place_of_one_that_is_arriving() -> None:
    it = Client()
    it.hear(*results(b"abcdef", 5)[0])
    (write,) = it.hear(*results(b"abcdef", 6)[0])
    assert write.is_first
    assert it.hear(*results(b"abcdef", 5)[1]) == []
    assert it.hear(*results(b"abcdef", 6)[1])[0].is_last


@pytest.mark.parametrize(
    ("frame", "payload"),
    [
        (Chunk(BATCH, 0, 5, 4, 6), b"ef"),
        (Chunk(BATCH, 0, 5, 3, 6), b"defg"),
        (Chunk(BATCH, 0, 5, 3, 7), b"def"),
        (Chunk(BATCH, 0, 5, 3, 6), b""),
        (Chunk(BATCH, 0, 6, 3, 6), b"def"),
    ],
    ids=["a gap", "too long", "another size", "empty", "another sending"],
)
def test_a_piece_that_does_not_fit_is_passed_over_and_no_sign_of_its_image(
    frame: Frame, payload: bytes
) -> None:
    it = Client(2)
    first, last = results(b"abcdef")
    it.hear(*first)
    it.hear(InProgress(BATCH, (1,), "m"), now=SILENT_SECONDS)
    assert it.hear(frame, payload, now=SILENT_SECONDS) == []
    assert it.offered_again(SILENT_SECONDS + 2) == [0]
    assert it.hear(*last) == []  # what had come was given up
    assert it.jobs[0].attempts == 0
    assert [write.is_last for piece in results(b"abcdef", 7) for write in it.hear(*piece)] == [
        False,
        True,
    ]


def test_a_result_of_which_a_piece_was_lost_can_still_be_completed() -> None:
    it = Client()
    (first, last), late = results(b"abcdef"), Chunk(BATCH, 0, 5, 4, 6)
    it.hear(*first)
    assert it.hear(late, b"ef") == []
    assert it.hear(*last)[0].is_last


def test_frames_of_other_kinds_change_nothing() -> None:
    it = Client()
    assert it.hear(Cancel(BATCH, 0, 1)) == []
    assert it.offered_again(1.0) == []


def test_thumbnails_are_handed_on_and_are_no_sign_of_their_image() -> None:
    it = Client(2)
    it.hear(InProgress(BATCH, (1,), "m"), now=SILENT_SECONDS)
    frame = Thumbnails(BATCH, 0, 5, 2)
    (keep,) = it.hear(frame, b"abcde", now=SILENT_SECONDS)
    assert (keep.job, keep.frame, keep.delivery) == (it.jobs[0], frame, "delivery")
    assert bytes(keep.payload) == b"abcde"
    assert it.jobs[0].result is None
    assert it.offered_again(SILENT_SECONDS + 1) == [0]


@pytest.mark.parametrize(
    ("frame", "payload"),
    [
        (Thumbnails(BATCH, 0, 5, 6), b"abcde"),
        (Thumbnails(BATCH, 0, 5, 6), bytes(LARGEST_THUMBNAILS_BYTES + 1)),
        (Thumbnails(BATCH, 9, 5, 2), b"abcde"),
        (Thumbnails(BATCH, 1, 5, 2), b"abcde"),
    ],
    ids=["beyond the end", "too large", "of no image", "late"],
)
def test_thumbnails_that_are_of_no_use_are_acknowledged_and_dropped(
    frame: Thumbnails, payload: bytes
) -> None:
    it = Client(2)
    for piece in results(b"abcdef", index=1):
        it.hear(*piece)
    actions = it.session.receive(frame, memoryview(payload), 7, 1.0)
    assert actions[-1] == Settle(7)
    assert {type(action) for action in actions} == {Settle}
    assert it.hear(*results(b"abcdef")[0])[0].is_first


def test_an_image_is_given_to_three_workers_that_die_with_it_and_fails() -> None:
    it = Client()
    for number in range(1, MAX_ATTEMPTS):
        it.hear(WorkerCrashed(BATCH, 0, "m", Code.WORKER_CRASHED, f"worker {number}"))
        assert isinstance(it.ask(transfer=number), client.SendImage)
    cancel, fail = it.hear(Fetch(BATCH, 0, "worker", 9, True, "m"))
    assert cancel == client.SendCancel("worker", Cancel(BATCH, 0, 9))
    assert fail.error.code is Code.WORKER_CRASHED
    assert fail.error.sentence.endswith("last: worker 2")
    assert fail.attempts == 3


def test_an_image_that_waited_in_a_machine_that_vanished_was_not_begun_by_it() -> None:
    """Nobody says that it was: only the three that were let in count."""
    it = Client()
    verdicts = [it.ask(transfer=number) for number in range(1, 5)]
    assert [type(verdict) for verdict in verdicts[:3]] == [client.SendImage] * 3
    assert isinstance(verdicts[3], client.SendCancel)


def test_workers_that_were_only_too_slow_make_it_a_timeout() -> None:
    it = Client()
    for _ in range(3):
        it.hear(WorkerCrashed(BATCH, 0, "m", Code.IMAGE_TIMEOUT, "killed after 120 s"))
    fail = it.hear(Fetch(BATCH, 0, "worker", 1, True, "m"))[1]
    assert fail.error.code is Code.IMAGE_TIMEOUT


def test_asking_for_a_lost_piece_or_twice_is_no_attempt() -> None:
    it = Client()
    for transfer in range(10):
        assert isinstance(it.ask(transfer=transfer, begins=False), client.SendImage)
    for _ in range(5):
        it.ask(transfer=99)
    assert it.jobs[0].attempts == 1


def test_what_is_on_its_way_already_is_not_sent_twice() -> None:
    it = Client()
    fetch = Fetch(BATCH, 0, "worker", 1, False, "m")
    assert len(it.hear(fetch)) == 1
    assert it.hear(fetch) == []
    it.session.sent(0, "worker", 1, 2.0)
    assert len(it.hear(fetch)) == 1


def test_an_image_is_sent_to_few_at_a_time_however_many_ask_for_it() -> None:
    it = Client()
    asked = [it.hear(Fetch(BATCH, 0, "worker", number, False, "m")) for number in range(1000)]
    assert sum(map(len, asked)) == MOST_SENDINGS
    it.session.sent(0, "worker", 0, 2.0)
    assert len(it.hear(Fetch(BATCH, 0, "worker", 999, False, "m"))) == 1


def test_what_servers_say_of_an_image_again_and_again_takes_no_memory() -> None:
    it = Client()
    for number in range(1000):
        it.hear(WorkerCrashed(BATCH, 0, "m", Code.WORKER_CRASHED, f"worker {number}"))
    assert [sentence for _, sentence in it.jobs[0].crashes] == [
        f"worker {number}" for number in range(1000 - MAX_ATTEMPTS, 1000)
    ]
    it = Client()
    for number in range(1000):
        it.ask(transfer=number)
        it.hear(Returned(BATCH, (0,), "m"))
    assert len(it.jobs[0].claimants) == MOST_CLAIMANTS


def test_tickets_that_come_back_unbegun_are_no_attempts_of_their_machine() -> None:
    it = Client()
    it.ask()
    it.hear(Returned(BATCH, (0, 99), "another"))
    assert it.jobs[0].attempts == 1
    it.hear(Returned(BATCH, (0, 99), "m"))
    assert it.jobs[0].attempts == 0


def test_a_broker_that_was_away_blames_no_worker_but_those_that_died() -> None:
    it = Client()
    it.ask(transfer=1)
    it.ask(transfer=2)
    it.session.connection_lost()
    assert it.jobs[0].attempts == 0
    it.hear(WorkerCrashed(BATCH, 0, "m", Code.WORKER_CRASHED, ""))
    assert it.jobs[0].attempts == 1


def test_a_file_that_can_t_be_read_fails_and_cancels_what_was_promised() -> None:
    it = Client()
    it.hear(Fetch(BATCH, 0, "worker", 1, False, "m"))
    cancel, fail = it.session.fail(0, FileError(Code.UNREADABLE_FILE, "gone"))[:2]
    assert cancel == client.SendCancel("worker", Cancel(BATCH, 0, 1))
    assert fail.error.sentence == "gone"
    assert isinstance(it.ask(), client.SendCancel)


def test_what_waits_in_the_queue_is_left_in_peace_while_others_are_heard_of() -> None:
    it = Client(images=3)
    for now in range(5, 200, 5):
        it.hear(InProgress(BATCH, (0,), "m"), now=now)
        assert it.offered_again(now) == []


def test_an_image_that_was_overtaken_and_shows_no_sign_is_offered_again_once() -> None:
    it = Client(images=3)
    it.hear(InProgress(BATCH, (0, 1), "m"), now=10.0)
    for now in (20.0, 30.0, 40.0):
        it.hear(InProgress(BATCH, (1,), "m"), now=now)
        assert it.offered_again(now) == []
    assert it.offered_again(10.1 + SILENT_SECONDS) == [0]
    assert it.jobs[0].attempt == 1
    assert it.offered_again(10.2 + SILENT_SECONDS) == []


def test_where_nothing_at_all_is_heard_everything_is_offered_again() -> None:
    it = Client(images=3)
    assert it.offered_again(SILENT_SECONDS) == []
    assert it.offered_again(SILENT_SECONDS + 1) == [0, 1, 2]


def test_an_image_in_line_to_be_sent_is_not_lost() -> None:
    it = Client(images=2)
    it.hear(Fetch(BATCH, 0, "worker", 1, False, "m"))
    assert it.offered_again(100.0) == [1]


def test_a_ticket_that_found_no_queue_is_offered_at_once_and_the_others_soon() -> None:
    it = Client(images=3)
    assert client.Renew() in it.session.tickets_lost([2], 5.0)
    assert it.offered_again(5.0) == [2]
    it.hear(InProgress(BATCH, (0,), "m"), now=10.0)
    assert it.offered_again(16.9) == []
    assert it.offered_again(17.1) == [1]


def test_after_a_pause_everybody_has_time_to_say_what_he_has() -> None:
    it = Client(images=2)
    it.session.tick(1.0, connected=False)
    assert it.offered_again(500.0) == []
    it.hear(InProgress(BATCH, (1,), "m"), now=505.0)
    assert it.offered_again(511.0) == []
    assert it.offered_again(513.0) == [0]


def test_images_are_drawn_when_few_are_in_flight_and_then_in_one_burst() -> None:
    session = ClientSession(BATCH)
    assert session.workers_changed(2) == [client.Draw(16, 0, 2)]
    session.drawn([[(index * 2, None), (index * 2 + 1, None)] for index in range(16)], 0.0)
    assert session.ended(range(12)) == []
    assert session.ended([12, 13]) == [client.Draw(7, 18, 2)]


def test_what_is_still_to_be_drawn_of_a_burst_is_not_asked_for_again() -> None:
    session = ClientSession(BATCH)
    session.workers_changed(1)
    asked = []
    for index in range(4):
        (offer,) = session.drawn([[(index, None)]], 0.0)
        assert isinstance(offer, client.Offer)
        asked.append(session.ended([index]))
    assert asked == [[], [], [], [client.Draw(4, 0, 1)]]


def test_however_many_workers_are_said_to_be_there_the_broker_is_not_flooded() -> None:
    assert ClientSession(BATCH).workers_changed(2**53) == [client.Draw(MOST_MESSAGES, 0, 2**53)]


def test_a_run_is_over_when_all_is_drawn_and_ended() -> None:
    it = Client()
    it.session.all_drawn()
    assert not it.session.is_over
    it.hear(result(batch=BATCH, job=0, kind="failed", code="truncated-image", size_bytes=0))
    it.session.ended([0])
    assert it.session.is_over
    assert isinstance(it.jobs[0], InFlightJob)
    assert it.session.drawn([], 2.0) == []


def test_the_first_piece_may_be_all_of_it() -> None:
    (write,) = Client().hear(result(batch=BATCH, job=0, size_bytes=3), b"abc")
    assert (write.is_first, write.is_last) == (True, True)
    assert isinstance(write.result, Result)
