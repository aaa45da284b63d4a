"""Where the client's threads meet: what is in flight, who works, and how the run ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from imgbatch.batch.model import Failure, Job, MachineUse, Outcome, Status
from imgbatch.engines.base import Listener, Progress
from imgbatch.engines.rabbitmq.machines import MachineRegistry
from imgbatch.engines.rabbitmq.offers import MAX_SPOILED, Offers
from imgbatch.errors import Code, ImgbatchError, SkippedFile, WorkerFailed
from imgbatch.protocol.slicing import MOST_FRAMES_PER_BUNDLE

FEWEST_BUNDLES_PER_WORKER = 5
"""Messages with tickets in flight for each worker: what it holds (three, by default) and two that
wait in the queue, so that a worker that acknowledges one gets the next before the client has heard
of it."""
MOST_BUNDLES_PER_WORKER = 8
"""When there are fewer than those, so many are sent in one go: one by one, each outcome would wake
the feeder, the publisher and the broker (with 100 KB images, a tenth of the client's work)."""


class Desk:
    """The state that sending, receiving and the main loop share.

    Parameters
    ----------
    offers, fleet
        What is in flight, and who works.
    listener
        Whom the run tells of its outcomes; called with a lock held, so from one thread at a time.
    """

    def __init__(self, offers: Offers, fleet: MachineRegistry, listener: Listener) -> None:
        self.offers = offers
        self.fleet = fleet
        self._listener = listener
        self._telling = threading.Lock()
        # One lock, two who wait: an image that has ended makes room, and is mostly no news to the
        # main loop, whose turn takes as long as half an image's way through this process.
        lock = threading.Lock()
        self._room, self._news = threading.Condition(lock), threading.Condition(lock)
        self._stopped = False
        self.error: BaseException | None = None
        self.done = 0
        self.fed = threading.Event()

    def wait_for_room(self) -> bool:
        """Wait until another image may be in flight; False once the run is about to stop.

        Once as many are as may be, it waits until few are, so that images leave in bursts.
        """
        with self._room:
            if not self._has_room(MOST_BUNDLES_PER_WORKER):
                self._room.wait_for(
                    lambda: self._stopped or self._has_room(FEWEST_BUNDLES_PER_WORKER)
                )
            return not self._stopped

    def _has_room(self, bundles_per_worker: int) -> bool:
        return self.offers.bundles < self.fleet.procs * bundles_per_worker

    @property
    def images_per_bundle(self) -> int:
        """How many images may be drawn to leave in one message.

        One while the search goes on, since the next may be long in coming. Fewer towards the end,
        so that no worker has many left while others have none.
        """
        progress = self.progress()
        if progress.scanning:
            return 1
        left = progress.total - progress.done - len(self.offers)
        share = left // (max(1, self.fleet.procs) * MOST_BUNDLES_PER_WORKER)
        return max(1, min(MOST_FRAMES_PER_BUNDLE, share))

    def wake(self) -> None:
        """Have the waiting look again: something has changed."""
        with self._room:
            self._room.notify_all()
            self._news.notify_all()

    def wait(self, timeout_seconds: float) -> None:
        """Wait for a change, but not for longer."""
        with self._news:
            if not self.is_over:
                self._news.wait(timeout_seconds)

    def stop(self) -> None:
        """Let no more images be drawn."""
        self._stopped = True
        self.wake()

    def abort(self, error: BaseException) -> None:
        """End the run: nobody can go on. The first error is the one that counts."""
        if self.error is None:
            self.error = error
        self.stop()

    @property
    def is_over(self) -> bool:
        """Whether nothing is in flight and nothing will come, or nobody can go on."""
        drawn = self.fed.is_set() or self._stopped
        return self.error is not None or (drawn and not len(self.offers))

    def finish(self, outcome: Outcome) -> bool:
        """End an image, once; tell whether it had not ended before."""
        # Under one lock, so that whoever sees that none is in flight can wait until all are told.
        with self._telling:
            offer = self.offers.end(outcome.index)
            if offer is not None:
                self._tell(outcome)
        with self._room:
            if self._has_room(FEWEST_BUNDLES_PER_WORKER):
                self._room.notify_all()
            if self.is_over:
                self._news.notify_all()
        return offer is not None

    def tell(self, outcome: Outcome) -> None:
        """Tell the listener of the outcome of an image that was never offered."""
        with self._telling:
            self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self.done += 1
        self._listener.finished(outcome)

    def settle(self) -> None:
        """Wait until the listener knows of every image that has ended."""
        with self._telling:
            return

    def fail(self, job: Job, error: ImgbatchError) -> None:
        """End an image that this side could not read or write."""
        self.finish(failed(job, error))

    def spoil(self, index: int) -> None:
        """Have an image offered again whose result came damaged, unless that happens for ever."""
        offer = self.offers.spoil(index)
        if offer is not None and offer.spoiled >= MAX_SPOILED:
            sentence = f"its result came damaged {MAX_SPOILED} times; see the log for the reasons"
            self.fail(offer.job, WorkerFailed(Code.DAMAGED_PAYLOAD, sentence))
        self.wake()

    def progress(self) -> Progress:
        """Return how far the run is."""
        return self._listener.progress()

    def waiting(self, why: str | None) -> None:
        """Tell the listener that nothing moves, and why."""
        with self._telling:
            self._listener.waiting(why)

    def machines(self, machines: Sequence[MachineUse]) -> None:
        """Tell the listener who works."""
        with self._telling:
            self._listener.machines(machines)


def failed(job: Job, error: ImgbatchError) -> Outcome:
    """Return the outcome of an image that this side could not read or write."""
    status = Status.SKIPPED if isinstance(error, SkippedFile) else Status.FAILED
    return Outcome(job.index, status, Failure.of(error), attempts=0)


def code_of(text: str) -> Code:
    """Return the code that a peer names; one that only a later version knows is internal to us."""
    try:
        return Code(text)
    except ValueError:
        return Code.INTERNAL_ERROR
