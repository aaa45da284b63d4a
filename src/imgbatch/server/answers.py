"""From what the pipeline made of an image to the frames that tell its client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.errors import ImageError, SkippedFile
from imgbatch.pipeline import Processed
from imgbatch.protocol import Chunk, Result, ResultKind, Ticket, encode
from imgbatch.protocol.fields import SENTENCE
from imgbatch.protocol.slicing import BUNDLE_BYTES, MOST_FRAMES_PER_BUNDLE, pieces

LARGEST_BUNDLED_BYTES = 128 * 1024
"""Of a larger result, the bytes cost more than the message's turn, so it waits for no others."""
LONGEST_WAIT_SECONDS = 0.25
"""After which the next result takes along those that wait."""


def result_of(
    ticket: Ticket, machine: str, transfer: int, seconds: float, processed: Processed
) -> Result:
    """Return the result frame of an image that was processed."""
    return Result(
        batch=ticket.batch,
        job=ticket.job,
        transfer=transfer,
        kind=ResultKind.DONE,
        code="",
        sentence="",
        machine=machine,
        width_pixels=processed.width_pixels,
        height_pixels=processed.height_pixels,
        size_bytes=len(processed.data),
        seconds=seconds,
        notes=processed.notes,
    )


def failure_of(
    ticket: Ticket, machine: str, transfer: int, seconds: float, error: ImageError
) -> Result:
    """Return the result frame of an image that could not be processed."""
    return Result(
        batch=ticket.batch,
        job=ticket.job,
        transfer=transfer,
        kind=ResultKind.SKIPPED if isinstance(error, SkippedFile) else ResultKind.FAILED,
        code=error.code,
        sentence=_showable(error.sentence),
        machine=machine,
        width_pixels=0,
        height_pixels=0,
        size_bytes=0,
        seconds=seconds,
        notes=(),
    )


def _showable(sentence: str) -> str:
    # A codec may quote what it found in the file; a frame takes no control characters.
    return "".join(char if char.isprintable() else "?" for char in sentence)[: SENTENCE.longest]


def frames_of(result: Result, data: bytes) -> Iterator[bytes]:
    """Yield the encoded frames of a result: itself with the first piece, then the others."""
    for offset, piece in pieces(data):
        if offset == 0:
            yield encode(result, piece)
        else:
            yield encode(
                Chunk(result.batch, result.job, result.transfer, offset, result.size_bytes), piece
            )


class Sending:
    """A result on its way: it is settled when all its frames are.

    Parameters
    ----------
    settled
        Told once, on the publisher's thread: confirmed if every frame was.
    """

    def __init__(self, settled: Callable[[Settlement], None]) -> None:
        self._settled = settled
        self._lock = threading.Lock()
        self._under_way = 1
        self._worst = Settlement.CONFIRMED

    def publish(
        self, publisher: Publisher, exchange: str, topic: str, bodies: Iterator[bytes]
    ) -> None:
        """Publish all frames, waiting while too much is unconfirmed."""
        for body in bodies:
            with self._lock:
                self._under_way += 1
            publisher.publish(Message(exchange, topic, body), self._one_settled)
        self._one_settled(Settlement.CONFIRMED)

    def _one_settled(self, settlement: Settlement) -> None:
        with self._lock:
            self._under_way -= 1
            if settlement is not Settlement.CONFIRMED:
                self._worst = settlement
            last = self._under_way == 0
        if last:
            self._settled(self._worst)


class ResultBundle:
    """Small results, until as many of one client's are there as are worth a message.

    Parameters
    ----------
    publisher, exchange
        What they are published with, and where.
    """

    def __init__(self, publisher: Publisher, exchange: str) -> None:
        self._publisher = publisher
        self._exchange = exchange
        self._lock = threading.Lock()
        self._topic = ""
        self._bodies: list[bytes] = []
        self._settled: list[Callable[[Settlement], None]] = []
        self._since_seconds = 0.0

    def add(self, topic: str, body: bytes, settled: Callable[[Settlement], None]) -> None:
        """Take in a result, and send those that are there if it is the last that fits.

        Parameters
        ----------
        topic, body
            Where it goes, and the encoded frame.
        settled
            Told once, on the publisher's thread.
        """
        if topic != self._topic:
            self.send()
        with self._lock:
            if not self._bodies:
                self._topic, self._since_seconds = topic, time.monotonic()
            self._bodies.append(body)
            self._settled.append(settled)
            is_full = (
                len(self._bodies) >= MOST_FRAMES_PER_BUNDLE
                or sum(map(len, self._bodies)) >= BUNDLE_BYTES
                or time.monotonic() - self._since_seconds >= LONGEST_WAIT_SECONDS
            )
        if is_full:
            self.send()

    def send(self) -> None:
        """Send what waits; from any thread."""
        with self._lock:
            bodies, self._bodies = self._bodies, []
            settled, self._settled = self._settled, []
            topic = self._topic
        if not bodies:
            return

        def all_settled(settlement: Settlement) -> None:
            for one_settled in settled:
                one_settled(settlement)

        self._publisher.publish(Message(self._exchange, topic, b"".join(bodies)), all_settled)
