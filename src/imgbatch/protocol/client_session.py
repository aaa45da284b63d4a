"""A client's side of the conversation: what it knows of each image in flight, and does about it.

No thread, lock, socket, file or clock: events come in as method calls with the time, and each
returns the actions that follow, in order. The caller carries them out.

**What is lost is offered again**, which is harmless: a result that comes twice counts once, and the
worker that gets the second ticket has to ask before it begins. A ticket is taken for lost if
nothing was heard of it for half a minute though one that was offered later was heard of: a queue
hands out its oldest first. So tickets that wait in the queue are left in peace, however long, and
those that a worker has are named by it every few seconds. If nothing is heard of any image, or a
connection or the queue was lost, nothing is believed to wait in the queue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgbatch.errors import MAX_ATTEMPTS, ImgbatchError
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
from imgbatch.protocol.in_flight import InFlightJob
from imgbatch.protocol.slicing import LARGEST_THUMBNAILS_BYTES

FEWEST_MESSAGES_PER_WORKER = 5
"""Messages with tickets in flight for each worker: what it holds (three, by default) and two that
wait in the queue, so that a worker that acknowledges one gets the next before the client has heard
of it."""
MOST_MESSAGES_PER_WORKER = 8
"""When there are fewer than those, so many are sent in one go: one by one, each outcome would wake
the reader, the publisher and the broker (with 100 KB images, a tenth of the client's work)."""
MOST_MESSAGES = 8192
"""In flight, however many workers are said to be there."""
MOST_SENDINGS = 4
"""Of one image at a time: more than a worker or two have it only if its ticket was taken for lost
again and again. Without a bound, a server could have it sent as often as it likes."""
SILENT_SECONDS = 30.0
"""How long an image that must be with a worker may show no sign: six times a worker would have
said that it has the image."""
RECOVERY_SECONDS = 12.0
"""The same after a connection or the queue was lost, by when each worker that still has
tickets has said so."""
_LOST = float("-inf")


@dataclass(frozen=True, slots=True)
class Draw:
    """There is room for so many more messages with tickets.

    To be answered by `ClientSession.drawn`, for all at once or as there are images. How many may
    leave in one message depends on how many are left, besides those `in_flight`, for how many
    `workers`.
    """

    messages: int
    in_flight: int
    workers: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Publish the tickets of these images in one message, for the `attempt`-th time again."""

    jobs: tuple[InFlightJob, ...]
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Renew:
    """Declare the batch's queue again, and have its workers take from it: it is gone."""


@dataclass(frozen=True, slots=True)
class SendImage:
    """Send an image to a worker's queue in chunks: answer by `ClientSession.sent`."""

    job: InFlightJob
    queue: str
    transfer: int


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Tell a worker that nothing more of an image is needed."""

    queue: str
    frame: Cancel


@dataclass(frozen=True, slots=True)
class Write:
    """Write a piece of a result; after the last, report it, and answer by `ClientSession.ended`.

    Parameters
    ----------
    is_first
        What was written for the image before is void.
    delivery
        To be acknowledged when the piece is written.
    attempts
        How many workers have begun the image.
    """

    job: InFlightJob
    result: Result
    payload: memoryview
    is_first: bool
    is_last: bool
    delivery: object
    attempts: int


@dataclass(frozen=True, slots=True)
class KeepThumbnails:
    """Keep an image's thumbnails until it ends, in place of others; acknowledge the delivery.

    They are small. Whether they are pictures is not known.
    """

    job: InFlightJob
    frame: Thumbnails
    payload: memoryview
    delivery: object


@dataclass(frozen=True, slots=True)
class Fail:
    """Report that an image has failed, and answer by `ClientSession.ended`."""

    job: InFlightJob
    error: ImgbatchError
    attempts: int


Action = Draw | Offer | Renew | SendImage | SendCancel | Write | KeepThumbnails | Fail | Settle


class ClientSession:
    """All images of one batch that are in flight.

    Parameters
    ----------
    batch
        The run's id.
    """

    def __init__(self, batch: str) -> None:
        self._batch = batch
        self._jobs: dict[int, InFlightJob] = {}
        self._next_sequence = 0
        self._overtaken = 0  # no ticket of a smaller sequence is believed to wait in the queue
        self._heard_seconds = _LOST
        self._messages = 0.0
        self._workers = 0
        self._paused = True
        self._drawing = 0
        self._all_drawn = False
        self._actions: list[Action] = []

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def is_over(self) -> bool:
        """Whether nothing is in flight and nothing will come."""
        return self._all_drawn and not self._jobs

    # Images on their way out

    def workers_changed(self, workers: int) -> list[Action]:
        """Take note of how many workers there are."""
        self._workers = workers
        return self._after()

    def drawn(self, messages: Sequence[Sequence[tuple[int, object]]], now: float) -> list[Action]:
        """Offer images, each given by its index and handle, those of a message together."""
        self._drawing -= len(messages)
        if not self._jobs:
            self._heard_seconds = now
        for message in messages:
            share = 1 / len(message)
            jobs = tuple(InFlightJob(index, handle, share) for index, handle in message)
            self._jobs.update((job.index, job) for job in jobs)
            self._messages += 1
            self._offer(jobs, now)
        return self._after()

    def _offer(self, jobs: tuple[InFlightJob, ...], now: float, attempt: int = 0) -> None:
        for job in jobs:
            job.heard_seconds, job.sequence = now, self._next_sequence
            self._next_sequence += 1
        self._actions.append(Offer(jobs, attempt))

    def all_drawn(self) -> list[Action]:
        """Draw no more: there are none, or the run is to stop."""
        self._all_drawn = True
        return self._after()

    def sent(self, index: int, queue: str, transfer: int, now: float) -> list[Action]:
        """Take note that an image has left for a worker's queue, or found none."""
        job = self._jobs.get(index)
        if job is not None:
            job.sending.discard((queue, transfer))
            job.heard_seconds = max(job.heard_seconds, now)
        return self._after()

    def tickets_lost(self, indexes: Iterable[int], now: float) -> list[Action]:
        """Take note that tickets found no queue, hence that it was lost."""
        self._actions.append(Renew())
        for job in self._known(indexes):
            job.heard_seconds = _LOST
        return self.queue_lost(now)

    def fail(self, index: int, error: ImgbatchError) -> list[Action]:
        """End an image that this side could not read."""
        job = self._jobs.get(index)
        if job is not None and not job.closing:
            self._fail(job, error)
        return self._after()

    def _fail(self, job: InFlightJob, error: ImgbatchError) -> None:
        job.closing = True
        for queue, transfer in job.sending:
            self._cancel(job.index, queue, transfer)
        self._actions.append(Fail(job, error, job.attempts))

    def ended(self, indexes: Iterable[int]) -> list[Action]:
        """Follow images no longer: they are written, or their failure is reported."""
        for index in indexes:
            job = self._jobs.pop(index, None)
            if job is not None:
                self._messages -= job.share
        return self._after()

    # What arrives

    def receive(
        self, frame: Frame, payload: memoryview, delivery: object, now: float
    ) -> list[Action]:
        """Take in what was sent to this client; what it can't use is passed over."""
        action: Action | None = None
        match frame:
            case Result() | Chunk() | Thumbnails():
                action = self._arrive(frame, payload, delivery, now)
            case Fetch():
                self._fetch(frame, now)
            case InProgress(jobs=indexes):
                for job in self._known(indexes):
                    self._hear(job, now)
            case Returned(jobs=indexes, machine=machine):
                for job in self._known(indexes):
                    self._hear(job, now)
                    job.discount_attempt(machine)
            case WorkerCrashed():
                for job in self._known((frame.job,)):
                    job.crashes.append((frame.code, frame.sentence))
        self._actions.append(action or Settle(delivery))
        return self._after()

    def _arrive(
        self, frame: Result | Chunk | Thumbnails, payload: memoryview, delivery: object, now: float
    ) -> Write | KeepThumbnails | None:
        """Return what is to be written or kept of what a worker made, if anything is."""
        job = self._jobs.get(frame.job)
        if job is None or job.closing:
            return None
        if isinstance(frame, Thumbnails):  # no sign of the image itself
            is_usable = frame.before_bytes <= len(payload) <= LARGEST_THUMBNAILS_BYTES
            return KeepThumbnails(job, frame, payload, delivery) if is_usable else None
        if not job.accept(frame, len(payload)) or job.result is None:
            return None
        self._hear(job, now)
        job.closing = job.arrived_bytes == job.coming_bytes
        is_first = isinstance(frame, Result)
        return Write(job, job.result, payload, is_first, job.closing, delivery, job.attempts)

    def _fetch(self, fetch: Fetch, now: float) -> None:
        job = self._jobs.get(fetch.job)
        claimant = fetch.queue, fetch.transfer
        if job is None or job.closing:
            self._cancel(fetch.job, *claimant)
            return
        self._hear(job, now)
        # A worker that has waited for a while asks again, and may only be waiting for its turn:
        # what is in line is not sent twice, or a slow line would never catch up.
        if claimant in job.sending:
            return
        if fetch.begins and claimant not in job.claimants:
            if job.attempts >= MAX_ATTEMPTS:
                self._cancel(fetch.job, *claimant)
                self._fail(job, job.lost_workers())
                return
            job.claims.append(fetch.machine)
            job.claimants.append(claimant)
        if len(job.sending) < MOST_SENDINGS:  # it will ask again
            job.sending.add(claimant)
            self._actions.append(SendImage(job, *claimant))

    def _cancel(self, index: int, queue: str, transfer: int) -> None:
        self._actions.append(SendCancel(queue, Cancel(self._batch, index, transfer)))

    def _hear(self, job: InFlightJob, now: float) -> None:
        job.heard_seconds = self._heard_seconds = now
        self._overtaken = max(self._overtaken, job.sequence + 1)

    # What is lost

    def connection_lost(self) -> list[Action]:
        """Take note that the broker was away: tickets came back, and no worker is to blame."""
        for job in self._jobs.values():
            job.claims.clear()
        self._paused = True
        return self._after()

    def queue_lost(self, now: float) -> list[Action]:
        """Believe no sign of any image but those that come from now on."""
        for job in self._jobs.values():
            if job.heard_seconds != _LOST:
                job.heard_seconds = now - SILENT_SECONDS + RECOVERY_SECONDS
        self._overtaken, self._heard_seconds = self._next_sequence, now
        return self._after()

    def tick(self, now: float, *, connected: bool) -> list[Action]:
        """Offer again what was lost.

        Parameters
        ----------
        connected
            To the broker, in both directions: nothing is lost before a worker could have said
            that it has the image.
        """
        if not connected or not self._workers:
            self._paused = True
            return self._after()
        if self._paused:
            self._paused = False
            self.queue_lost(now)
        if now - self._heard_seconds > SILENT_SECONDS:
            self._overtaken = self._next_sequence
        for job in list(self._jobs.values()):
            silent = (
                job.sequence < self._overtaken and now - job.heard_seconds > SILENT_SECONDS
            ) and not job.sending
            if (silent or job.heard_seconds == _LOST) and not job.closing:
                job.result = None
                job.attempt += 1
                self._messages += 1 - job.share
                job.share = 1.0
                self._offer((job,), now, job.attempt)
        return self._after()

    # What follows

    def _after(self) -> list[Action]:
        """Draw if there is room, and return all actions since the last time."""
        fewest = self._workers * FEWEST_MESSAGES_PER_WORKER
        expected = self._messages + self._drawing
        if expected < min(fewest, MOST_MESSAGES) and not self._all_drawn:
            most = min(self._workers * MOST_MESSAGES_PER_WORKER, MOST_MESSAGES)
            messages = math.ceil(most - expected)
            self._drawing += messages
            self._actions.append(Draw(messages, len(self._jobs), self._workers))
        actions, self._actions = self._actions, []
        return actions

    def _known(self, indexes: Iterable[int]) -> list[InFlightJob]:
        return [self._jobs[index] for index in indexes if index in self._jobs]
