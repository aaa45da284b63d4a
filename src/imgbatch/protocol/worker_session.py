"""A worker's side of the conversation: which tickets it has, and what it does about each.

No thread, lock, socket, file or clock: events come in as method calls with the time, and each
returns the actions that follow, in order. The caller carries them out.

A ticket that was given out before is *redelivered*: its image may have killed the worker that had
it. It is begun only with the consent of the client, who counts, and it is asked for only when its
turn has come and nothing is computed, so that no image is charged with what another one did. While
the consent is waited for, other images are computed: if one of them kills the worker then, the
image that was asked for is charged as well.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial

from imgbatch.protocol.codec import Received
from imgbatch.protocol.delivery import Answer, Settle
from imgbatch.protocol.fields import MOST_NUMBERS
from imgbatch.protocol.frames import Cancel, Chunk, Fetch, Frame, InProgress, Returned, Ticket

FETCH_SECONDS = 10.0
"""How long an image that was asked for may show no sign before it is asked for again."""
FETCH_TIMES = 12
"""How often it is asked for: its client may have hundreds in line before it, and no other worker
would have it sooner. A client that is gone is noticed otherwise."""
IN_PROGRESS_SECONDS = 5.0
"""How often clients are told of the tickets that are held for longer than that."""
HELD_BYTES = 256 * 1024 * 1024
"""Images that a worker holds or has asked for, of all batches together; or a single larger one."""
HANDED_OUT = 2
"""Images given to the computing thread: one is computed, and the next is there when it ends."""


class TicketState(Enum):
    """How far a ticket is."""

    WAITING = auto()  # its image is not here, and was not asked for
    ASKED = auto()  # for its image, and for consent if it is redelivered
    READY = auto()
    COMPUTING = auto()
    ANSWERED = auto()  # its result is on its way to the broker
    GONE = auto()


class TicketEvent(Enum):
    """What happens to one."""

    ASK = auto()
    IMAGE = auto()  # is complete
    NO_ROOM = auto()  # for a piece of its image
    CANCEL = auto()  # by the client
    BEGIN = auto()  # handed to the computing thread
    RECALL = auto()  # and back, unbegun
    COMPUTED = auto()
    CONFIRMED = auto()  # by the broker: every frame of the result
    UNROUTABLE = auto()  # the result: its client is gone
    RELEASE = auto()  # to other workers
    LOSE = auto()  # with the connection or the queue it came from


@dataclass(frozen=True, slots=True)
class Send:
    """Publish a frame to its client; if `needed` and it finds no queue, that client is gone."""

    frame: Fetch | InProgress | Returned
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Compute:
    """Compute a ticket's image."""

    pending: PendingTicket


@dataclass(frozen=True, slots=True)
class LeaveBatch:
    """Take no more of a batch whose client is gone, and tell the supervisor."""

    batch: str


Action = Send | Settle | Compute | LeaveBatch

_S, _E = TicketState, TicketEvent
TRANSITIONS: dict[tuple[TicketState, TicketEvent], tuple[TicketState, Answer | None]] = {
    (_S.WAITING, _E.ASK): (_S.ASKED, None),
    (_S.WAITING, _E.IMAGE): (_S.READY, None),
    (_S.ASKED, _E.ASK): (_S.ASKED, None),
    (_S.ASKED, _E.IMAGE): (_S.READY, None),
    (_S.ASKED, _E.NO_ROOM): (_S.WAITING, None),
    (_S.ASKED, _E.CANCEL): (_S.GONE, Answer.ACKNOWLEDGE),
    (_S.READY, _E.BEGIN): (_S.COMPUTING, None),
    (_S.COMPUTING, _E.RECALL): (_S.READY, None),
    (_S.COMPUTING, _E.COMPUTED): (_S.ANSWERED, None),
    (_S.COMPUTING, _E.CONFIRMED): (_S.GONE, Answer.ACKNOWLEDGE),
    (_S.COMPUTING, _E.UNROUTABLE): (_S.GONE, Answer.REQUEUE),
    (_S.ANSWERED, _E.CONFIRMED): (_S.GONE, Answer.ACKNOWLEDGE),
    (_S.ANSWERED, _E.UNROUTABLE): (_S.GONE, Answer.REQUEUE),
    (_S.WAITING, _E.RELEASE): (_S.GONE, Answer.REQUEUE),
    (_S.ASKED, _E.RELEASE): (_S.GONE, Answer.REQUEUE),
    (_S.READY, _E.RELEASE): (_S.GONE, Answer.REQUEUE),
    (_S.WAITING, _E.LOSE): (_S.GONE, None),
    (_S.ASKED, _E.LOSE): (_S.GONE, None),
    (_S.READY, _E.LOSE): (_S.GONE, None),
}
"""What an event makes of a ticket, and what the broker is told of it. Any other pair changes
nothing: what is computed stays computed, and what is gone stays gone."""


@dataclass(slots=True, eq=False)
class PendingTicket:
    """A ticket that this worker has, and as much of its image as has come.

    Parameters
    ----------
    ticket, delivery
        What arrived, and the handle by which the broker is told of it.
    redelivered
        The client has to agree before it is begun.
    taken_seconds
        When it came.
    image
        The encoded image, once complete, until it is computed.
    arrived
        What has come of it.
    transfer
        The number that the chunks of its image carry; 0 before it is asked for.
    asked_times, asked_seconds
        How often the image was asked for, and when it last was or showed a sign.
    first_asked_seconds, fetched_seconds
        When the image was asked for first, and when it was complete, if it was asked for.
    """

    ticket: Ticket
    delivery: object
    redelivered: bool
    taken_seconds: float
    state: TicketState = TicketState.WAITING
    image: memoryview | None = None
    arrived: bytearray = field(default_factory=bytearray)
    transfer: int = 0
    asked_times: int = 0
    asked_seconds: float = 0.0
    first_asked_seconds: float = 0.0
    fetched_seconds: float = 0.0

    @property
    def held_bytes(self) -> int:
        """The memory that its image takes, or will soon take."""
        if self.image is not None:
            return len(self.image)
        if self.state is TicketState.ASKED and self.asked_times == 1:
            return self.ticket.size_bytes
        # Of one that had to be asked for again, what has come: the rest may never come.
        return len(self.arrived)


class WorkerSession:
    """All tickets of one worker.

    Parameters
    ----------
    machine
        The id that its frames carry.
    max_bytes
        The largest image that is taken in; a ticket of a larger one is computed without it, which
        fails.
    """

    def __init__(self, machine: str, max_bytes: int) -> None:
        self._machine = machine
        self._max_bytes = max_bytes
        self._room_bytes = max(HELD_BYTES, max_bytes)
        self._queue = ""
        self._served: set[str] = set()
        self._batches: dict[str, list[PendingTicket]] = {}  # in the order of their turns
        self._asked: dict[int, PendingTicket] = {}  # by transfer
        self._count = Counter[TicketState]()
        self._transfers = itertools.count(1)
        self._told_seconds = 0.0
        self._actions: list[Action] = []

    @property
    def pending(self) -> list[PendingTicket]:
        """Every ticket for which something is done or will be."""
        return list(itertools.chain.from_iterable(self._batches.values()))

    @property
    def computing(self) -> int:
        """How many images are handed out to be computed."""
        return self._count[TicketState.COMPUTING]

    # What the broker and the supervisor say

    def connected(self, queue: str, now: float) -> list[Action]:
        """Take note of the name of this worker's own queue, a new one on each connection."""
        self._queue = queue
        return self._after(now)

    def serve(self, batch: str) -> None:
        """Begin to take tickets of a batch."""
        self._served.add(batch)

    def leave(self, batch: str, now: float) -> list[Action]:
        """Take no more tickets of a batch, and give back those that were not begun."""
        self._served.discard(batch)
        self._release(self._batches.get(batch, []))
        return self._after(now)

    def client_gone(self, batch: str, now: float) -> list[Action]:
        """Leave a batch whose client takes nothing any more, unless it was left already."""
        if batch in self._served:
            self._actions.append(LeaveBatch(batch))
        return self.leave(batch, now)

    def queue_gone(self, batch: str, now: float) -> list[Action]:
        """Forget the tickets of a queue that the broker has deleted."""
        self._served.discard(batch)
        self._apply_all(self._batches.get(batch, []), TicketEvent.LOSE)
        return self._after(now)

    def connection_lost(self, now: float) -> list[Action]:
        """Forget what the broker gives to other workers, or to this one again.

        No image is to blame for that, not even the one that is computed.
        """
        self._queue = ""  # nothing is asked for before there is another
        self._say_of(self.pending, Returned)
        self._apply_all(self.pending, TicketEvent.LOSE)
        return self._after(now)

    def drain(self, now: float) -> list[Action]:
        """Give back all that was not begun, and take nothing more."""
        self._served.clear()
        self._release(self.pending)
        return self._after(now)

    def take(
        self, batch: str, received: Received, delivery: object, redelivered: bool, now: float
    ) -> list[Action]:
        """Take a ticket from a batch's queue in, with its image if that rides along."""
        ticket = received.frame
        if not isinstance(ticket, Ticket) or ticket.batch != batch:
            return [Settle(delivery, Answer.REJECT)]
        if batch not in self._served:
            return [Settle(delivery, Answer.REQUEUE)]
        too_large = ticket.size_bytes > self._max_bytes
        redelivered |= ticket.attempt > 0
        # What is too large will be refused unseen, so no worker can die of it.
        pending = PendingTicket(ticket, delivery, redelivered and not too_large, now)
        self._count[TicketState.WAITING] += 1
        is_here = len(received.payload) == ticket.size_bytes and not redelivered
        # An image for which there is no room is dropped, and fetched when there is. What was asked
        # for and has not come does not count: a silent client would hold up others.
        here_bytes = sum(len(it.image or it.arrived) for it in self.pending)
        room_bytes = max(0, self._room_bytes - here_bytes)
        if too_large or (is_here and ticket.size_bytes <= room_bytes):
            pending.image = received.payload
            self._apply(pending, TicketEvent.IMAGE)
        self._batches.setdefault(batch, []).append(pending)
        return self._after(now)

    # What the client says

    def receive(self, frame: Frame, payload: memoryview, now: float) -> list[Action]:
        """Take in what came for this worker alone; what fits no ticket is passed over."""
        if isinstance(frame, Chunk | Cancel) and (pending := self._asked.get(frame.transfer)):
            ticket = pending.ticket
            if (frame.batch, frame.job) != (ticket.batch, ticket.job):
                return []
            if isinstance(frame, Cancel):
                self._apply(pending, TicketEvent.CANCEL)
            elif frame.size_bytes == ticket.size_bytes:
                self._add(pending, frame.offset_bytes, payload, now)
        return self._after(now)

    def _add(self, pending: PendingTicket, offset: int, piece: memoryview, now: float) -> None:
        """Add a piece of an image, if it is the one that is to come next.

        Others are passed over: those that come again, and those behind one that was lost.
        """
        size_bytes = pending.ticket.size_bytes
        if offset != len(pending.arrived) or offset + len(piece) > size_bytes:
            return
        pending.arrived += piece
        pending.asked_seconds = now
        if len(pending.arrived) == size_bytes:
            pending.image = memoryview(pending.arrived).toreadonly()
            pending.fetched_seconds = now
            self._forget_transfer(pending)
            self._apply(pending, TicketEvent.IMAGE)
        elif pending.asked_times > 1 and not self._has_room(0):
            self._forget_transfer(pending)
            self._apply(pending, TicketEvent.NO_ROOM)

    # What the computing thread and the publisher say

    def recall(self, pending: PendingTicket) -> None:
        """Take an image back that was handed out and not begun; to be followed by another event."""
        self._apply(pending, TicketEvent.RECALL)

    def computed(self, pending: PendingTicket, now: float) -> list[Action]:
        """Take note that an image is computed and its result published, maybe confirmed already."""
        self._apply(pending, TicketEvent.COMPUTED)
        pending.image = None
        return self._after(now)

    def answered(self, pending: PendingTicket, now: float, *, confirmed: bool) -> list[Action]:
        """Take note of what became of a result: confirmed by the broker, or taken by no queue."""
        self._apply(pending, TicketEvent.CONFIRMED if confirmed else TicketEvent.UNROUTABLE)
        return self._after(now) if confirmed else self.client_gone(pending.ticket.batch, now)

    # What time brings

    def tick(self, now: float) -> list[Action]:
        """Ask again for images that show no sign, and give up those that never do."""
        for pending in list(self._asked.values()):
            if now - pending.asked_seconds < FETCH_SECONDS:
                continue
            if pending.asked_times < FETCH_TIMES:
                self._ask(pending, now)
            else:
                self._release([pending])
        return self._after(now)

    def in_progress(self, now: float, waits_for: str = "") -> list[Action]:
        """Tell clients, now and then, which tickets are held for long, and maybe why.

        Not to be asked while the publisher can't send: said later, it would no longer be true.
        """
        if now - self._told_seconds < IN_PROGRESS_SECONDS:
            return []
        self._told_seconds = now
        old = [it for it in self.pending if now - it.taken_seconds >= IN_PROGRESS_SECONDS]
        self._say_of(old, partial(InProgress, waits_for=waits_for))
        return self._after(now)

    # What follows

    def _after(self, now: float) -> list[Action]:
        """Ask for images, hand out what is ready, and return all actions since the last time."""
        if self._count[TicketState.WAITING]:
            for pending in self.pending:
                waiting = pending.state is TicketState.WAITING and not pending.redelivered
                if waiting and self._has_room(pending.ticket.size_bytes):
                    self._ask(pending, now)
        while self.computing < HANDED_OUT and (ready := self._next(now)) is not None:
            batch = ready.ticket.batch
            self._batches[batch] = self._batches.pop(batch)  # its next turn comes last
            self._apply(ready, TicketEvent.BEGIN)
            self._actions.append(Compute(ready))
        actions, self._actions = self._actions, []
        return actions

    def _next(self, now: float) -> PendingTicket | None:
        """Return the ticket to be handed out next, the batches taking turns."""
        if not (self._count[TicketState.READY] or self._count[TicketState.WAITING]):
            return None
        for tickets in self._batches.values():
            asks = any(it.redelivered and it.state is TicketState.ASKED for it in tickets)
            for pending in tickets:
                is_ready = pending.state is TicketState.READY
                if pending.redelivered:
                    waits = pending.state is TicketState.WAITING and not asks
                    if (is_ready or waits) and self.computing:
                        return None  # its turn has come, and it is begun alone
                    if waits:
                        asks = True
                        if self._has_room(pending.ticket.size_bytes):
                            self._ask(pending, now)
                if is_ready:
                    return pending
        return None

    def _has_room(self, more_bytes: int) -> bool:
        held_bytes = sum(pending.held_bytes for pending in self.pending)
        return bool(self._queue) and held_bytes + more_bytes <= self._room_bytes

    def _ask(self, pending: PendingTicket, now: float) -> None:
        # Under the same number when it is asked for again: the client may only be slow, and what
        # was on its way already still counts.
        pending.transfer = pending.transfer or next(self._transfers)
        self._asked[pending.transfer] = pending
        begins = pending.redelivered and not pending.asked_times
        pending.first_asked_seconds = pending.first_asked_seconds or now
        pending.asked_times += 1
        pending.asked_seconds = now
        self._apply(pending, TicketEvent.ASK)
        ticket = pending.ticket
        fetch = Fetch(
            ticket.batch, ticket.job, self._queue, pending.transfer, begins, self._machine
        )
        self._actions.append(Send(fetch, needed=True))

    def _forget_transfer(self, pending: PendingTicket) -> None:
        self._asked.pop(pending.transfer, None)
        pending.transfer, pending.arrived = 0, bytearray()

    def _release(self, tickets: Iterable[PendingTicket]) -> None:
        self._say_of(self._apply_all(tickets, TicketEvent.RELEASE), Returned)

    def _apply_all(
        self, tickets: Iterable[PendingTicket], event: TicketEvent
    ) -> list[PendingTicket]:
        return [pending for pending in list(tickets) if self._apply(pending, event)]

    def _apply(self, pending: PendingTicket, event: TicketEvent) -> bool:
        """Move a ticket as the table says; tell whether it moves."""
        following = TRANSITIONS.get((pending.state, event))
        if following is None:
            return False
        self._count[pending.state] -= 1
        pending.state, answer = following
        self._count[pending.state] += 1
        if answer is not None:
            self._actions.append(Settle(pending.delivery, answer))
        if pending.state is TicketState.GONE:
            self._forget_transfer(pending)
            pending.image = None
            batch = self._batches[pending.ticket.batch]
            batch.remove(pending)
            if not batch:
                del self._batches[pending.ticket.batch]
        return True

    def _say_of(
        self, tickets: list[PendingTicket], kind: Callable[..., InProgress | Returned]
    ) -> None:
        """Say it to each client, in frames of as many images as one holds."""
        batches: dict[str, list[int]] = {}
        for pending in tickets:
            batches.setdefault(pending.ticket.batch, []).append(pending.ticket.job)
        for batch, jobs in batches.items():
            for first in range(0, len(jobs), MOST_NUMBERS):
                some = tuple(jobs[first : first + MOST_NUMBERS])
                self._actions.append(Send(kind(batch, some, self._machine)))
