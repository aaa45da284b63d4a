"""Results on their way in: the thread that writes files, and tells the run of each that has ended.

A delivery is acknowledged when its piece is written, so a slow disk makes the broker wait, and not
this process's memory grow. Only for that: the inbox goes with its connection, and what was lost on
its way is offered again. So the last ones need no acknowledgement, and the others can wait for
company.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from imgbatch.batch.model import Failure, Job, Outcome, Status
from imgbatch.batch.write import OutputFile, OutputPolicy
from imgbatch.engines.base import Listener
from imgbatch.errors import (
    Code,
    EngineError,
    FileError,
    ImageError,
    ImgbatchError,
    WorkerFailed,
)
from imgbatch.images.formats import HEAD_BYTES, detect_format, name_notes
from imgbatch.protocol.client_session import Fail, KeepThumbnails, Write
from imgbatch.protocol.frames import Result, ResultKind

log = logging.getLogger(__name__)

ACKNOWLEDGED_TOGETHER = 4
"""Deliveries that are acknowledged together: each such call wakes this process's connection and the
broker. Of the inbox's prefetch, this many less one may be taken up by what is written already."""
LARGEST_RESULT_BYTES = 8 * 1024**3
"""More than any image of 2**31 pixels encodes to in practice; a machine that says so would fill the
disk."""
_STATUSES = {
    ResultKind.DONE: Status.WRITTEN,
    ResultKind.WRITTEN: Status.WRITTEN,
    ResultKind.FAILED: Status.FAILED,
    ResultKind.SKIPPED: Status.SKIPPED,
}
_NO_MORE = {
    Code.DISK_FULL,
    Code.OUTPUT_FOLDER_UNWRITABLE,
    Code.STORAGE_REFUSED,
    Code.STORAGE_UNREACHABLE,
}
"""What workers say of the place that they write to, and not of an image."""
Item = Write | KeepThumbnails | Fail | Callable[[], None]


@dataclass(slots=True)
class PartialResult:
    """A file that is being written, and how it begins."""

    file: OutputFile
    head: bytes


class Writer:
    """That thread; the only one that calls the listener.

    Parameters
    ----------
    policy
        How results are put into the output folder.
    listener
        Whom the run tells of its outcomes.
    progressed
        Told of images that have ended, and of deliveries to be acknowledged.
    abort
        Told of an error after which the run can't go on.
    by_machines
        Results come without files: machines write them themselves.
    """

    def __init__(
        self,
        policy: OutputPolicy,
        listener: Listener,
        progressed: Callable[[list[Outcome], list[Any]], None],
        abort: Callable[[BaseException], None],
        *,
        by_machines: bool = False,
    ) -> None:
        self._policy = policy
        self._by_machines = by_machines
        self._listener = listener
        self._progressed = progressed
        self._abort = abort
        self._items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._partial: dict[int, PartialResult] = {}
        self._thumbnails: dict[int, tuple[int, tuple[bytes, bytes]]] = {}  # with a transfer
        self._outcomes: list[Outcome] = []
        self._deliveries: list[Any] = []
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, item: Item) -> None:
        """Have something written, reported or called, in this order; from any thread."""
        self._items.put(item)

    def refuse(self, job: Job, error: ImgbatchError) -> None:
        """Report a job that was never offered."""
        outcome = Outcome.not_written(job.index, error, attempts=0)
        self._items.put(lambda: self._listener.finished(outcome))

    def stop(self, timeout_seconds: float) -> None:
        """End, once what was put has been written; leave no half-written file behind."""
        self._items.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            log.warning("results are still being written after %g s; leaving", timeout_seconds)
            return
        for partial in self._partial.values():
            partial.file.discard()

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            try:
                match item:
                    case Write():
                        self._deliveries.append(item.delivery)
                        self._write(item)
                    case KeepThumbnails():
                        self._deliveries.append(item.delivery)
                        self._keep_thumbnails(item)
                    case Fail(job, error, attempts):
                        self._finish(Outcome.not_written(job.index, error, attempts))
                    case _:
                        item()
            except Exception as error:
                if not isinstance(error, ImgbatchError):
                    log.exception("the writer failed unexpectedly")
                self._abort(error)
            self._report()

    def _report(self) -> None:
        """Say what was done: ended images at once if nothing else is to be done."""
        enough = len(self._deliveries) >= ACKNOWLEDGED_TOGETHER
        if enough or (self._outcomes and self._items.empty()):
            deliveries, self._deliveries = (
                (self._deliveries, []) if enough else ([], self._deliveries)
            )
            outcomes, self._outcomes = self._outcomes, []
            self._progressed(outcomes, deliveries)

    def _write(self, write: Write) -> None:
        job: Any = write.job.handle
        result = write.result
        if result.kind in {ResultKind.FAILED, ResultKind.SKIPPED}:
            self._finish(_outcome(write, _failure_of(result)))
            return
        try:
            if write.is_first:
                self._discard(job.index)
                head = bytes(write.payload[:HEAD_BYTES])
                self._check(result, head)
                if result.kind == ResultKind.WRITTEN:
                    self._finish(self._written(write, result.size_bytes))
                    return
                self._partial[job.index] = PartialResult(OutputFile(job, self._policy), head)
            partial = self._partial.get(job.index)
            if partial is None:
                return  # it could not be written, and has ended
            partial.file.write(write.payload)
            if write.is_last:
                bytes_out = partial.file.finish()
                del self._partial[job.index]
                notes = name_notes(job.target.suffix, partial.head)
                self._finish(self._written(write, bytes_out, notes))
        except (FileError, WorkerFailed) as error:
            self._finish(Outcome.not_written(job.index, error, write.attempts))

    def _check(self, result: Result, head: bytes) -> None:
        """Raise WorkerFailed if a result is too large, no image, or not as asked for."""
        if result.size_bytes > LARGEST_RESULT_BYTES:
            sentence = f"{result.machine} says that it made {result.size_bytes} bytes of it"
            raise WorkerFailed(Code.DAMAGED_PAYLOAD, sentence)
        sentence = f"what {result.machine} made of it is no image"
        if self._by_machines != (result.kind == ResultKind.WRITTEN):
            raise WorkerFailed(Code.DAMAGED_PAYLOAD, sentence)
        try:
            if not self._by_machines:
                detect_format(memoryview(head))
        except ImageError as error:
            raise WorkerFailed(Code.DAMAGED_PAYLOAD, sentence) from error

    def _written(self, write: Write, bytes_out: int, notes: tuple[str, ...] = ()) -> Outcome:
        outcome = _outcome(write, None, bytes_out, notes)
        transfer, pair = self._thumbnails.get(outcome.index, (None, None))
        if transfer == write.result.transfer:  # of another worker's, they may be of other bits
            outcome = replace(outcome, thumbnails=pair)
        return outcome

    def _keep_thumbnails(self, keep: KeepThumbnails) -> None:
        job: Any = keep.job.handle
        if job.wants_thumbnails:  # or a server could fill the memory
            data, middle = bytes(keep.payload), keep.frame.before_bytes
            self._thumbnails[job.index] = keep.frame.transfer, (data[:middle], data[middle:])

    def _finish(self, outcome: Outcome) -> None:
        self._discard(outcome.index)  # the part that was written, of a worker that did better
        self._thumbnails.pop(outcome.index, None)
        self._listener.finished(outcome)
        self._outcomes.append(outcome)

    def _discard(self, index: int) -> None:
        partial = self._partial.pop(index, None)
        if partial is not None:
            partial.file.discard()


def _failure_of(result: Result) -> Failure:
    """Return why an image failed, or raise EngineError if that is why every other one will."""
    failure = Failure(_code_of(result.code), result.sentence)
    if failure.code in _NO_MORE:
        raise EngineError(failure.code, f"{result.machine}: {failure.sentence}")
    return failure


def _outcome(
    write: Write, failure: Failure | None, bytes_out: int = 0, notes: tuple[str, ...] = ()
) -> Outcome:
    result: Result = write.result
    return Outcome(
        index=write.job.index,
        status=_STATUSES[result.kind],
        failure=failure,
        seconds=result.seconds,
        machine=result.machine,
        width_pixels=result.width_pixels,
        height_pixels=result.height_pixels,
        bytes_out=bytes_out,
        notes=(*result.notes, *notes),
        attempts=max(1, write.attempts),
    )


def _code_of(text: str) -> Code:
    """Return the code that a peer names; one that only a later version knows is internal to us."""
    try:
        return Code(text)
    except ValueError:
        return Code.INTERNAL_ERROR
