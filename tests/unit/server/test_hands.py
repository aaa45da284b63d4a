"""The tickets that a worker holds: each delivery has one answer, whatever happens."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.support.tickets import held

from imgbatch.errors import FrameTooLarge, MalformedFrame
from imgbatch.protocol import Cancel, Chunk
from imgbatch.protocol.slicing import pieces
from imgbatch.server.hands import Hands, HeldTicket

LIMIT = 1000


@pytest.fixture
def hands() -> Hands:
    return Hands(LIMIT)


def send(hands: Hands, ticket: HeldTicket, image: bytes, chunk_bytes: int = 3) -> None:
    for offset, piece in pieces(image, chunk_bytes):
        chunk = Chunk(ticket.ticket.batch, ticket.ticket.job, ticket.transfer, offset, len(image))
        hands.add_chunk(chunk, piece, 1.0)


def test_a_ticket_with_its_image_is_next(hands: Hands) -> None:
    ticket = held(image=b"abcd")
    hands.take(ticket)
    assert hands.next(0) is ticket


def test_a_ticket_without_its_image_is_next_when_the_image_has_come(hands: Hands) -> None:
    ticket = held(size_bytes=8)
    hands.take(ticket)
    assert hands.next(0) is None
    hands.expect(ticket, 0.0)
    send(hands, ticket, b"abcdefgh")
    assert hands.next(0) is ticket
    assert ticket.image == b"abcdefgh"
    assert hands.overdue(99.0) == []


def test_a_suspect_is_next_without_its_image(hands: Hands) -> None:
    """Only then the client is asked, whose consent counts as an attempt."""
    hands.take(ticket := held(suspect=True))
    assert hands.next(0) is ticket


def test_batches_take_turns(hands: Hands) -> None:
    for job in range(3):
        hands.take(held(job, "large", image=b"x"))
    hands.take(held(0, "small", image=b"x"))
    order = []
    while (ticket := hands.next(0)) is not None:
        order.append((ticket.ticket.batch, ticket.ticket.job))
        assert hands.begin(ticket)
    assert order == [("large", 0), ("small", 0), ("large", 1), ("large", 2)]


def test_a_batch_whose_images_are_still_on_their_way_holds_up_nobody(hands: Hands) -> None:
    hands.take(held(0, "slow"))
    hands.take(ready := held(0, "quick", image=b"x"))
    assert hands.next(0) is ready


@pytest.mark.parametrize(
    "chunk",
    [Chunk("b", 1, 1, 0, 4), Chunk("other", 0, 1, 0, 4), Chunk("b", 0, 99, 0, 4)],
    ids=["another job", "another batch", "another transfer"],
)
def test_pieces_that_nobody_awaits_are_passed_over(hands: Hands, chunk: Chunk) -> None:
    hands.take(ticket := held())
    hands.expect(ticket, 0.0)
    hands.add_chunk(chunk, memoryview(b"abcd"), 1.0)
    assert ticket.image is None
    assert ticket.asked_seconds == 0.0


def test_pieces_that_lie_are_refused(hands: Hands) -> None:
    hands.take(ticket := held(size_bytes=8))
    hands.expect(ticket, 0.0)
    for offset, size in ((0, 9), (4, 8), (0, 4)):
        with pytest.raises(MalformedFrame):
            hands.add_chunk(Chunk("b", 0, ticket.transfer, offset, size), memoryview(b"ab"), 1.0)
    assert ticket.image is None
    send(hands, ticket, b"abcdefgh")
    assert ticket.image == b"abcdefgh"


def test_an_image_over_the_limit_is_not_taken_in(hands: Hands) -> None:
    hands.take(ticket := held(size_bytes=LIMIT + 1))
    hands.expect(ticket, 0.0)
    with pytest.raises(FrameTooLarge):
        send(hands, ticket, bytes(LIMIT + 1))


def test_what_was_on_its_way_still_counts_when_it_is_asked_for_again(hands: Hands) -> None:
    hands.take(ticket := held(size_bytes=6))
    first = hands.expect(ticket, 0.0)
    hands.add_chunk(Chunk("b", 0, first, 0, 6), memoryview(b"abc"), 1.0)
    assert hands.expect(ticket, 2.0) == first
    assert ticket.asked_times == 2
    send(hands, ticket, b"abcdef")
    assert ticket.image == b"abcdef"


def test_an_image_that_shows_no_sign_is_overdue_and_one_that_does_is_not(hands: Hands) -> None:
    for job in range(2):
        hands.take(ticket := held(job, size_bytes=6))
        hands.expect(ticket, 10.0)
    hands.add_chunk(Chunk("b", 1, ticket.transfer, 0, 6), memoryview(b"abc"), 15.0)
    assert [late.ticket.job for late in hands.overdue(12.0)] == [0]
    assert hands.awaited(ticket.transfer) is ticket


def test_a_withdrawn_ticket_is_let_go_of_once(hands: Hands) -> None:
    hands.take(ticket := held(suspect=True))
    transfer = hands.expect(ticket, 0.0)
    assert hands.withdraw(Cancel("b", 0, transfer)) is ticket
    assert hands.withdraw(Cancel("b", 0, transfer)) is None
    assert not hands.begin(ticket)
    assert hands.let_go(ticket) == []
    assert hands.are_empty


@pytest.mark.parametrize("withdrawal", [Cancel("b", 1, 1), Cancel("other", 0, 1)])
def test_a_withdrawal_of_something_else_changes_nothing(hands: Hands, withdrawal: Cancel) -> None:
    hands.take(ticket := held())
    assert hands.expect(ticket, 0.0) == 1
    assert hands.withdraw(withdrawal) is None
    send(hands, ticket, b"abcd")
    assert ticket.image == b"abcd"


def test_what_was_begun_is_held_but_not_given_back(hands: Hands) -> None:
    hands.take(begun := held(0, image=b"x"))
    hands.take(waiting := held(1, image=b"x"))
    assert hands.begin(begun)
    assert hands.all() == [begun, waiting]
    assert hands.let_go_of_batch("b") == [waiting]
    assert hands.let_go_of_all() == []
    assert hands.all() == [begun]
    hands.end(begun)
    hands.end(begun)
    assert hands.are_empty


def test_waiting_ends_with_the_image_the_withdrawal_or_the_interruption(hands: Hands) -> None:
    tickets = [held(job, suspect=True) for job in range(3)]
    for ticket in tickets:
        hands.take(ticket)
        hands.expect(ticket, 0.0)
    answers: dict[int, bool] = {}

    def wait(number: int) -> None:
        answers[number] = hands.wait_for_image(tickets[number], 60.0)

    waiters = [threading.Thread(target=wait, args=(number,)) for number in range(3)]
    for waiter in waiters:
        waiter.start()
    send(hands, tickets[0], b"abcd")
    waiters[0].join(30)
    hands.withdraw(Cancel("b", 1, tickets[1].transfer))
    waiters[1].join(30)
    assert answers == {0: True, 1: True}
    hands.interrupt()
    waiters[2].join(30)
    assert answers == {0: True, 1: True, 2: True}
    assert hands.next(60.0) is None


def test_waiting_ends_when_nothing_comes(hands: Hands) -> None:
    hands.take(ticket := held(suspect=True))
    hands.expect(ticket, 0.0)
    assert not hands.wait_for_image(ticket, 0.01)


def test_waiting_goes_on_while_pieces_come(hands: Hands) -> None:
    """A large image on a slow line takes longer than a silent client is waited for."""
    hands.take(ticket := held(size_bytes=200, suspect=True))
    hands.expect(ticket, 0.0)
    done = threading.Event()

    def send_slowly() -> None:
        for offset in range(0, 200, 2):
            chunk = Chunk("b", 0, ticket.transfer, offset, 200)
            hands.add_chunk(chunk, memoryview(b"ab"), 1.0 + offset)
            done.wait(0.01)

    sender = threading.Thread(target=send_slowly)
    sender.start()
    # A second is the whole image's time; the patience, a tenth of it, is that of many pieces.
    arrived = hands.wait_for_image(ticket, 0.4)
    sender.join()
    assert arrived
    assert ticket.image == b"ab" * 100


def test_a_ticket_wakes_who_waits_for_one(hands: Hands) -> None:
    found: list[HeldTicket | None] = []
    waiter = threading.Thread(target=lambda: found.append(hands.next(60.0)))
    waiter.start()
    hands.take(ticket := held(image=b"x"))
    waiter.join(30)
    assert found == [ticket]


class Handling(RuleBasedStateMachine):
    """Everything that can happen to tickets, in any order: each delivery has one answer."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = Hands(LIMIT)
        self.taken: list[HeldTicket] = []
        self.answers: Counter[int] = Counter()

    def answered(self, tickets: list[HeldTicket]) -> None:
        self.answers.update(ticket.delivery.tag for ticket in tickets)

    @rule(batch=st.sampled_from("ab"), suspect=st.booleans(), has_image=st.booleans())
    def take(self, batch: str, suspect: bool, has_image: bool) -> None:
        image = b"abcd" if has_image and not suspect else None
        ticket = held(len(self.taken), batch, suspect=suspect, image=image)
        self.hands.take(ticket)
        self.taken.append(ticket)
        if not ticket.can_begin:
            self.hands.expect(ticket, 0.0)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        self.hands.expect(data.draw(st.sampled_from(self.taken)), 1.0)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.taken))
        if self.hands.awaited(ticket.transfer) is ticket:
            send(self.hands, ticket, b"abcd")
            assert ticket.image == b"abcd"

    @rule()
    def work(self) -> None:
        ticket = self.hands.next(0)
        if ticket is None:
            return
        assert ticket.can_begin
        if ticket.image is not None and self.hands.begin(ticket):
            self.answered([ticket])
            self.hands.end(ticket)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.taken))
        withdrawal = Cancel(ticket.ticket.batch, ticket.ticket.job, ticket.transfer)
        gone = self.hands.withdraw(withdrawal)
        self.answered([] if gone is None else [gone])

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.taken))
        if self.answers[ticket.delivery.tag] == 0:
            self.answered(self.hands.let_go(ticket))

    @rule(batch=st.sampled_from("ab"))
    def leave(self, batch: str) -> None:
        self.answered(self.hands.let_go_of_batch(batch))

    @rule()
    def lose_all(self) -> None:
        self.answered(self.hands.let_go_of_all())

    @invariant()
    def every_ticket_is_held_or_answered_once(self) -> None:
        at_hand = {ticket.delivery.tag for ticket in self.hands.all()}
        for ticket in self.taken:
            tag = ticket.delivery.tag
            assert self.answers[tag] + (tag in at_hand) == 1


TestHandling = Handling.TestCase
TestHandling.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
