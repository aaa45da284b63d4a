"""The tickets that a worker holds, and the images that come for them.

Two threads meet here: the consumer's brings tickets and chunks, the processor's takes images
that are complete. No sockets and no clock: times are handed in.

A ticket that was given out before is a suspect: its image may have killed the worker that had
it. It is begun only when the worker is about to compute it, and only with the client's consent,
who counts: `HeldTicket.suspect`.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from imgbatch.broker.consumer import Delivery
from imgbatch.errors import MalformedFrame
from imgbatch.protocol import Cancel, Chunk, Ticket
from imgbatch.protocol.assembly import Assembly


@dataclass(slots=True, eq=False)
class HeldTicket:
    """A ticket, and as much of its image as has come.

    Parameters
    ----------
    ticket, delivery
        What arrived, and what acknowledges it.
    suspect
        The client has to agree before it is begun.
    image
        The encoded image, once complete.
    transfer
        The number that the chunks of its image carry.
    asked_seconds
        When the last sign of that sending was seen.
    asked_times
        How often the image was asked for.
    gone
        It is not held any more: withdrawn, given back, or lost with the connection.
    """

    ticket: Ticket
    delivery: Delivery
    suspect: bool
    image: memoryview | None = None
    assembly: Assembly | None = None
    transfer: int = 0
    asked_seconds: float = 0.0
    asked_times: int = 0
    gone: bool = False

    @property
    def can_begin(self) -> bool:
        """Whether the processor may take it now."""
        return self.image is not None or self.suspect


class Hands:
    """All tickets that one worker holds.

    Parameters
    ----------
    max_bytes
        The largest image that is taken in.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._batches: dict[str, deque[HeldTicket]] = {}
        self._turns: deque[str] = deque()
        self._transfers = itertools.count(1)
        self._awaited: dict[int, HeldTicket] = {}
        self._begun: list[HeldTicket] = []
        self._interrupted = False

    def take(self, held: HeldTicket) -> None:
        """Take a ticket in; its batch joins the turns if it is new."""
        with self._changed:
            batch = held.ticket.batch
            if batch not in self._batches:
                self._batches[batch] = deque()
                self._turns.append(batch)
            self._batches[batch].append(held)
            self._changed.notify_all()

    def expect(self, held: HeldTicket, now_seconds: float, *, anew: bool = False) -> int:
        """Begin to wait for a ticket's image; return the number that its chunks have to carry.

        The same when it is asked for again: the client may only be slow, and what was on its way
        already still counts. Another one if what has come is of no use, so `anew`.
        """
        with self._changed:
            if anew:
                self._awaited.pop(held.transfer, None)
                held.assembly = None
            if anew or not held.transfer:
                held.transfer = next(self._transfers)
            held.asked_seconds = now_seconds
            held.asked_times += 1
            if not held.gone and held.image is None:
                self._awaited[held.transfer] = held
            return held.transfer

    def add_chunk(self, chunk: Chunk, payload: memoryview, now_seconds: float) -> None:
        """Take in a piece of an image; a piece that nobody awaits is passed over.

        Raises
        ------
        MalformedFrame, FrameTooLarge
            If it does not fit what has come before it, or announces another size.
        """
        with self._changed:
            held = self._awaited.get(chunk.transfer)
            if held is None or not _is_about(chunk, held.ticket):
                return
            if chunk.size_bytes != held.ticket.size_bytes:
                raise MalformedFrame("a chunk announces another size than its ticket")
            if held.assembly is None:
                held.assembly = Assembly(chunk.size_bytes, self._max_bytes)
            held.asked_seconds = now_seconds
            image = held.assembly.add(chunk.offset_bytes, payload)
            if image is not None:
                held.image, held.assembly = image, None
                del self._awaited[chunk.transfer]
                self._changed.notify_all()

    def withdraw(self, withdrawal: Cancel) -> HeldTicket | None:
        """Let go of a ticket that the client needs no more; None if it is not held."""
        with self._changed:
            held = self._awaited.get(withdrawal.transfer)
            if held is None or not _is_about(withdrawal, held.ticket):
                return None
            self._remove(held)
            self._forget([held])
            return held

    def awaited(self, transfer: int) -> HeldTicket | None:
        """Return the ticket whose image comes under this number."""
        with self._changed:
            return self._awaited.get(transfer)

    def next(self, timeout_seconds: float) -> HeldTicket | None:
        """Return a ticket to begin with, the batches taking turns; None when there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._interrupted or self._first(), timeout_seconds)
            held = None if self._interrupted else self._first()
            if held is not None:
                self._turns.remove(held.ticket.batch)
                self._turns.append(held.ticket.batch)
            return held

    def wait_for_image(self, held: HeldTicket, patience_seconds: float) -> bool:
        """Wait until a ticket's image is there, or is known not to come; tell if so.

        For as long as pieces of it come: only the time without any is limited.
        """

        def settled() -> bool:
            return held.image is not None or held.gone or self._interrupted

        with self._changed:
            seen_seconds = None
            while not settled() and seen_seconds != held.asked_seconds:
                seen_seconds = held.asked_seconds
                self._changed.wait_for(settled, patience_seconds)
            return settled()

    def begin(self, held: HeldTicket) -> bool:
        """Take a ticket out of what can be given back; False if it is not held any more."""
        with self._changed:
            if held.gone:
                return False
            self._remove(held)
            self._begun.append(held)
            return True

    def end(self, held: HeldTicket) -> None:
        """Forget a ticket that was begun: it is acknowledged, or goes back after all."""
        with self._changed:
            if held in self._begun:
                self._begun.remove(held)

    def all(self) -> list[HeldTicket]:
        """Return every ticket for which something is done or will be, begun or not."""
        with self._changed:
            return [*self._begun, *itertools.chain.from_iterable(self._batches.values())]

    @property
    def are_empty(self) -> bool:
        """Whether no ticket is held at all."""
        return not self.all()

    def overdue(self, before_seconds: float) -> list[HeldTicket]:
        """Return the tickets whose images have shown no sign since then."""
        with self._changed:
            return [held for held in self._awaited.values() if held.asked_seconds < before_seconds]

    def let_go(self, held: HeldTicket) -> list[HeldTicket]:
        """Forget a ticket that was not begun, and return it, unless it is not held any more."""
        with self._changed:
            if held.gone:
                return []
            self._remove(held)
            self._forget([held])
            return [held]

    def let_go_of_batch(self, batch: str) -> list[HeldTicket]:
        """Forget all tickets of a batch that were not begun, and return them."""
        with self._changed:
            tickets = list(self._batches.pop(batch, ()))
            self._forget(tickets)
            return tickets

    def let_go_of_all(self) -> list[HeldTicket]:
        """Forget everything that was not begun, and return it."""
        with self._changed:
            tickets = [held for batch in self._batches.values() for held in batch]
            self._batches.clear()
            self._forget(tickets)
            return tickets

    def interrupt(self) -> None:
        """Wake whoever waits, for good: the worker is about to end."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def _first(self) -> HeldTicket | None:
        for batch in self._turns:
            for held in self._batches[batch]:
                if held.can_begin:
                    return held
        return None

    def _remove(self, held: HeldTicket) -> None:
        tickets = self._batches.get(held.ticket.batch)
        if tickets is not None and held in tickets:
            tickets.remove(held)

    def _forget(self, tickets: Iterable[HeldTicket]) -> None:
        for held in tickets:
            self._awaited.pop(held.transfer, None)
            held.gone = True
        self._turns = deque(batch for batch in self._turns if batch in self._batches)
        self._changed.notify_all()


def _is_about(frame: Chunk | Cancel, ticket: Ticket) -> bool:
    return frame.job == ticket.job and frame.batch == ticket.batch
