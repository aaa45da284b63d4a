"""What the client knows of each image in flight. No sockets, and times are handed in.

An image that is in flight is in one of three phases, and these events move it::

    phase      event      next phase
    offered    fetched    held          a worker has the ticket, and asks for the image
    offered    held       held          a worker says that it has the ticket
    offered    result     arriving      the image rode inside its ticket
    held       fetched    held          asked again: a piece was lost, or another worker has it
    held       held       held          workers say so every few seconds
    held       released   offered       the ticket went back into the queue
    held       result     arriving
    arriving   result     arriving      another worker's copy, after a reconnection
    arriving   fetched    arriving      a second worker began before the first one's result came
    arriving   held       arriving      its worker waits for the broker's confirm
    any        lost       offered       no trace of it: the ticket is published again

Other pairs leave the phase as it is. An image that has ended is not in flight, and whatever still
comes for it is a repetition.

No trace means: its ticket is not among those that the broker counts in the queue, and no worker
says that it has it. How long an image takes to compute, or waits for its turn, does not matter.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from imgbatch.batch.model import Job

MAX_ATTEMPTS = 3
"""Workers that an image may kill before it is reported, and not tried again."""
MAX_SPOILED = 10
"""Results of one image that may come damaged, before it is reported: no line is that bad, so a
server must have gone mad."""
DOUBTED = float("-inf")
"""Instead of when an image was heard of: it is known to be lost."""


class Phase(Enum):
    """Where an image in flight is."""

    OFFERED = auto()
    HELD = auto()
    ARRIVING = auto()


class Event(Enum):
    """What is heard of one."""

    FETCHED = auto()
    HELD = auto()
    RELEASED = auto()
    RESULT = auto()
    LOST = auto()


TRANSITIONS: dict[Phase, dict[Event, Phase]] = {
    Phase.OFFERED: {
        Event.FETCHED: Phase.HELD,
        Event.HELD: Phase.HELD,
        Event.RELEASED: Phase.OFFERED,
        Event.RESULT: Phase.ARRIVING,
        Event.LOST: Phase.OFFERED,
    },
    Phase.HELD: {
        Event.FETCHED: Phase.HELD,
        Event.HELD: Phase.HELD,
        Event.RELEASED: Phase.OFFERED,
        Event.RESULT: Phase.ARRIVING,
        Event.LOST: Phase.OFFERED,
    },
    Phase.ARRIVING: {
        Event.FETCHED: Phase.ARRIVING,
        Event.HELD: Phase.ARRIVING,
        Event.RELEASED: Phase.ARRIVING,
        Event.RESULT: Phase.ARRIVING,
        Event.LOST: Phase.OFFERED,
    },
}


@dataclass(slots=True, eq=False)
class Offer:
    """An image in flight.

    Parameters
    ----------
    job
        The file.
    heard_seconds
        When the last sign of it was seen.
    bundle
        The number of the message in which its ticket went out last, maybe with others.
    phase
        Where the image is.
    attempt
        How often its ticket was published again.
    claims
        How often a worker was allowed to begin with a ticket that had been given out before.
    claimants
        Who those workers were.
    excused
        How often a ticket came back from a worker that is not to blame the image: it had not
        begun with it, or lost its connection.
    spoiled
        How often its result came damaged.
    casualties
        What servers said of the workers that died with it: code and sentence.
    """

    job: Job
    heard_seconds: float
    bundle: int
    phase: Phase = Phase.OFFERED
    attempt: int = 0
    claims: int = 0
    claimants: set[tuple[str, int]] = field(default_factory=set)
    excused: int = 0
    spoiled: int = 0
    casualties: list[tuple[str, str]] = field(default_factory=list)

    @property
    def attempts(self) -> int:
        """How many workers have begun it, as far as is known.

        Whoever had the ticket first is taken to have begun with the image, unless he said that
        he had not: a machine that went away as a whole can't say anything.
        """
        return max(1 + self.claims - self.excused, len(self.casualties))

    def excuse(self) -> None:
        """Do not count one of the workers that had it."""
        self.excused = min(self.excused + 1, self.claims + 1)


class Verdict(Enum):
    """The answer to a worker that asks for an image."""

    SEND = auto()
    WITHDRAW = auto()
    FAIL = auto()


class Offers:
    """All images in flight."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offers: dict[int, Offer] = {}
        self._bundle_numbers = itertools.count()
        self._bundle_sizes: Counter[int] = Counter()
        self.repeated = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._offers)

    @property
    def bundles(self) -> int:
        """How many messages with tickets are in flight, as far as images of theirs are."""
        with self._lock:
            return len(self._bundle_sizes)

    def add(self, jobs: Iterable[Job], now_seconds: float) -> list[Offer]:
        """Begin to follow images whose tickets are about to be published in one message."""
        with self._lock:
            bundle = next(self._bundle_numbers)
            offers = [Offer(job, now_seconds, bundle) for job in jobs]
            self._offers.update((offer.job.index, offer) for offer in offers)
            self._bundle_sizes[bundle] = len(offers)
            return offers

    def find(self, index: int) -> Offer | None:
        """Return an image in flight."""
        with self._lock:
            return self._offers.get(index)

    def end(self, index: int) -> Offer | None:
        """Follow an image no longer; None, and counted, if it had ended before."""
        with self._lock:
            offer = self._offers.pop(index, None)
            self.repeated += offer is None
            if offer is not None:
                self._leave_bundle(offer)
            return offer

    def _leave_bundle(self, offer: Offer) -> None:
        self._bundle_sizes[offer.bundle] -= 1
        if not self._bundle_sizes[offer.bundle]:
            del self._bundle_sizes[offer.bundle]

    def note(self, index: int, event: Event, now_seconds: float) -> Offer | None:
        """Take note of a sign of an image; None if it is not in flight."""
        with self._lock:
            offer = self._offers.get(index)
            if offer is not None:
                offer.phase = TRANSITIONS[offer.phase][event]
                offer.heard_seconds = now_seconds
            return offer

    def ask(
        self, index: int, begins: bool, now_seconds: float, claimant: tuple[str, int] | None = None
    ) -> tuple[Verdict, Offer | None]:
        """Decide what a worker that asks for an image gets.

        Parameters
        ----------
        index
            The image's number.
        begins
            The ticket was given out before, and the worker is about to begin with it.
        claimant
            What tells the worker's question from all others: one that comes twice, because its
            sender lost its connection and was not sure, counts once.
        """
        offer = self.note(index, Event.FETCHED, now_seconds)
        if offer is None:
            return Verdict.WITHDRAW, None
        with self._lock:
            if begins and claimant not in offer.claimants:
                if offer.attempts >= MAX_ATTEMPTS:
                    return Verdict.FAIL, offer
                offer.claims += 1
                if claimant is not None:
                    offer.claimants.add(claimant)
            return Verdict.SEND, offer

    def hold(self, indexes: tuple[int, ...], now_seconds: float) -> None:
        """Take note that a worker still has these."""
        for index in indexes:
            self.note(index, Event.HELD, now_seconds)

    def excuse(self, indexes: tuple[int, ...]) -> None:
        """Take note that a worker has lost tickets, or given them back, and lives."""
        with self._lock:
            for index in indexes:
                offer = self._offers.get(index)
                if offer is not None:
                    offer.phase = TRANSITIONS[offer.phase][Event.RELEASED]
                    offer.excuse()

    def count_waiting(self, messages: int, counted_seconds: float) -> None:
        """Take note of how many messages with tickets waited in the queue at a time.

        A queue hands out its oldest, so those that wait are the last that were offered.
        """
        with self._lock:
            offered = sorted(
                (
                    offer
                    for offer in self._offers.values()
                    if offer.phase is Phase.OFFERED
                    and DOUBTED < offer.heard_seconds <= counted_seconds
                ),
                key=lambda offer: offer.heard_seconds,
            )
            bundles = dict.fromkeys(offer.bundle for offer in reversed(offered))
            waiting = set(itertools.islice(bundles, messages))
            for offer in offered:
                if offer.bundle in waiting:
                    offer.heard_seconds = max(offer.heard_seconds, counted_seconds)

    def mourn(self, index: int, code: str, sentence: str) -> Offer | None:
        """Take note that a worker died with an image in its hands."""
        with self._lock:
            offer = self._offers.get(index)
            if offer is not None:
                offer.casualties.append((code, sentence))
            return offer

    def forgive(self) -> None:
        """Take note that the broker was away: tickets came back, and no worker is to blame."""
        with self._lock:
            for offer in self._offers.values():
                offer.claims, offer.excused = 0, 1

    def doubt(self, index: int) -> None:
        """Take note that an image's ticket was lost on its way."""
        with self._lock:
            if index in self._offers:
                self._offers[index].heard_seconds = DOUBTED

    def spoil(self, index: int) -> Offer | None:
        """Take note that an image's result came damaged: it is lost, and its worker lives."""
        with self._lock:
            offer = self._offers.get(index)
            if offer is not None:
                offer.heard_seconds = DOUBTED
                offer.spoiled += 1
                offer.excuse()
            return offer

    def doubt_all(self, heard_seconds: float) -> None:
        """Believe no sign of any image that was seen later than this."""
        with self._lock:
            for offer in self._offers.values():
                offer.heard_seconds = min(offer.heard_seconds, heard_seconds)

    def lost(self, before_seconds: float, now_seconds: float) -> list[Offer]:
        """Return, to be offered again, the images that were lost or gave no sign since then.

        Each in a message of its own, whatever company its ticket had.
        """
        with self._lock:
            offers = [
                offer for offer in self._offers.values() if offer.heard_seconds < before_seconds
            ]
            for offer in offers:
                offer.phase = TRANSITIONS[offer.phase][Event.LOST]
                offer.heard_seconds = now_seconds
                offer.attempt += 1
                self._leave_bundle(offer)
                offer.bundle = next(self._bundle_numbers)
                self._bundle_sizes[offer.bundle] = 1
            return offers
