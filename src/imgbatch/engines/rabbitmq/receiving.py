"""Results on their way in: writer threads that turn frames into files.

All frames of one image go to one writer, in the order in which they came. A delivery is
acknowledged when its piece is written, so a slow disk makes the broker wait, and not this
process's memory grow. Only for that: the inbox goes with its connection, and what was lost on its
way is offered again. So the last ones need no acknowledgement, and the others can wait for company.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from imgbatch.batch.model import Failure, Outcome, Status
from imgbatch.batch.write import OutputFile
from imgbatch.batch.write import OutputPolicy as Placement
from imgbatch.broker.consumer import Delivery
from imgbatch.engines.rabbitmq.desk import Desk, code_of
from imgbatch.engines.rabbitmq.offers import Event, Offer
from imgbatch.errors import FileError, OutputError, ProtocolError
from imgbatch.images.formats import HEAD_BYTES, name_notes
from imgbatch.protocol import Chunk, Received, Result, ResultKind
from imgbatch.protocol.assembly import Piece, Transfer

log = logging.getLogger(__name__)

WRITERS = 2
RECEIPTS = 4
"""How many deliveries are acknowledged together: each such call wakes this process's link and the
broker. Of the inbox's prefetch, this many less one may be taken up by what is already written."""
LARGEST_RESULT_BYTES = 8 * 1024**3
"""More than any image of 2**31 pixels encodes to in practice; what a machine announces beyond
that is nonsense."""


@dataclass(slots=True)
class Arriving:
    """A result of which a part has come, and how the file that it becomes begins."""

    result: Result
    transfer: Transfer
    file: OutputFile
    head: bytes


class Receipts:
    """Deliveries that are done with, until there are enough of them to say so.

    Parameters
    ----------
    acknowledge
        Tells the broker of any number of them.
    """

    def __init__(self, acknowledge: Callable[..., None]) -> None:
        self._acknowledge = acknowledge
        self._lock = threading.Lock()
        self._kept: list[Delivery] = []

    def add(self, delivery: Delivery) -> None:
        """Acknowledge one, and those before it, or keep it for later; from any thread."""
        with self._lock:
            self._kept.append(delivery)
            if len(self._kept) < RECEIPTS:
                return
            kept, self._kept = self._kept, []
        self._acknowledge(*kept)


class Writers:
    """The threads that write results.

    Parameters
    ----------
    desk
        What is in flight.
    placement
        How results are put into the output folder.
    acknowledge
        Tells the broker that deliveries are done with.
    lost
        Has an image offered again whose result did not come whole.
    """

    def __init__(
        self,
        desk: Desk,
        placement: Placement,
        acknowledge: Callable[..., None],
        lost: Callable[[int], None],
    ) -> None:
        receipts = Receipts(acknowledge)
        self._writers = [Writer(desk, placement, receipts.add, lost) for _ in range(WRITERS)]

    def start(self) -> None:
        """Begin to write."""
        for writer in self._writers:
            writer.start()

    def put(self, delivery: Delivery, received: Received, job: int) -> None:
        """Hand a frame to the writer of its image."""
        self._writers[job % WRITERS].put(delivery, received)

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """End, and leave no half-written file behind, unless the output folder hangs."""
        deadline = time.monotonic() + timeout_seconds
        for writer in self._writers:
            writer.stop(max(0.0, deadline - time.monotonic()))


class Writer:
    """One of those threads."""

    def __init__(
        self,
        desk: Desk,
        placement: Placement,
        done: Callable[[Delivery], None],
        lost: Callable[[int], None],
    ) -> None:
        self._desk = desk
        self._placement = placement
        self._done = done
        self._lost = lost
        self._frames: queue.SimpleQueue[tuple[Delivery, Received] | None] = queue.SimpleQueue()
        self._arriving: dict[int, Arriving] = {}
        self._thread = threading.Thread(target=self._write, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, delivery: Delivery, received: Received) -> None:
        """Have a frame written; from any thread."""
        self._frames.put((delivery, received))

    def stop(self, timeout_seconds: float) -> None:
        """End, once what was put has been written; leave no half-written file behind."""
        self._frames.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            log.warning("results are still being written after %g s; leaving", timeout_seconds)
            return
        for arriving in self._arriving.values():
            arriving.file.discard()

    def _write(self) -> None:
        while (item := self._frames.get()) is not None:
            delivery, received = item
            frame = received.frame
            try:
                if isinstance(frame, Result):
                    self._begin(frame, received.payload)
                elif isinstance(frame, Chunk):
                    self._continue(frame, received.payload)
            except ProtocolError as error:
                log.warning("the result of image %d came damaged: %s", _job_of(frame), error)
                self._give_up(_job_of(frame))
            except OutputError as error:
                self._desk.abort(error)
            except Exception as error:
                log.exception("a writer failed unexpectedly")
                self._desk.abort(error)
            self._done(delivery)

    def _begin(self, result: Result, payload: memoryview) -> None:
        offer = self._desk.offers.note(result.job, Event.RESULT, time.monotonic())
        if offer is None:
            self._desk.offers.end(result.job)  # counts the repetition
            return
        transfer = Transfer(result.size_bytes, LARGEST_RESULT_BYTES)
        self._discard(result.job)
        if result.kind != ResultKind.DONE:
            self._finish(offer, result, _failure_of(result))
            return
        try:
            file = OutputFile(offer.job, self._placement)
            head = bytes(payload[:HEAD_BYTES])
            self._arriving[result.job] = Arriving(result, transfer, file, head)
            self._add(offer, result.job, 0, payload)
        except FileError as error:
            self._discard(result.job)
            self._desk.fail(offer.job, error)

    def _continue(self, chunk: Chunk, payload: memoryview) -> None:
        arriving = self._arriving.get(chunk.job)
        if arriving is None or arriving.result.transfer != chunk.transfer:
            return
        offer = self._desk.offers.note(chunk.job, Event.RESULT, time.monotonic())
        if offer is None:
            self._discard(chunk.job)
            return
        try:
            self._add(offer, chunk.job, chunk.offset_bytes, payload)
        except FileError as error:
            self._discard(chunk.job)
            self._desk.fail(offer.job, error)

    def _add(self, offer: Offer, job: int, offset_bytes: int, payload: memoryview) -> None:
        arriving = self._arriving[job]
        piece = arriving.transfer.accept(offset_bytes, len(payload))
        if piece is not Piece.REPEATED:
            arriving.file.write(payload)
        if piece is Piece.LAST:
            bytes_out = arriving.file.finish()
            del self._arriving[job]
            notes = name_notes(offer.job.target, arriving.head)
            self._finish(offer, arriving.result, None, bytes_out, notes)

    def _finish(
        self,
        offer: Offer,
        result: Result,
        failure: Failure | None,
        bytes_out: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        status = {
            ResultKind.DONE: Status.WRITTEN,
            ResultKind.FAILED: Status.FAILED,
            ResultKind.SKIPPED: Status.SKIPPED,
        }[ResultKind(result.kind)]
        outcome = Outcome(
            index=offer.job.index,
            status=status,
            failure=failure,
            seconds=result.seconds,
            machine=result.machine,
            width_pixels=result.width_pixels,
            height_pixels=result.height_pixels,
            bytes_out=bytes_out,
            notes=(*result.notes, *notes),
            attempts=max(1, offer.attempts),
        )
        self._desk.fleet.count(result.machine, result.seconds)
        self._desk.finish(outcome)

    def _give_up(self, job: int) -> None:
        self._discard(job)
        self._lost(job)

    def _discard(self, job: int) -> None:
        arriving = self._arriving.pop(job, None)
        if arriving is not None:
            arriving.file.discard()


def _failure_of(result: Result) -> Failure:
    return Failure(code_of(result.code), result.sentence)


def _job_of(frame: object) -> int:
    return int(getattr(frame, "job", -1))
