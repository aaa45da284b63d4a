"""From a ticket and its image to the frames that tell its client what became of it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from msgspec.structs import replace

from imgbatch.batch.thumbnails import HEIGHT_PIXELS, WIDTH_PIXELS
from imgbatch.errors import Code, ImgbatchError, LimitExceeded, SkippedFile
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline, Processed
from imgbatch.protocol.codec import Secrets, encode
from imgbatch.protocol.fields import sentence_of
from imgbatch.protocol.frames import Chunk, Result, ResultKind, Thumbnails, Ticket
from imgbatch.protocol.slicing import LARGEST_THUMBNAILS_BYTES, pieces
from imgbatch.recipe import Recipe

LARGEST_BUNDLED_BYTES = 128 * 1024
"""Of a larger result, the bytes cost more than the message's turn, so it waits for no others."""
_NOTHING = Processed(b"", 0, 0, ())


class Answerer:
    """Computes images as their tickets ask.

    Parameters
    ----------
    machine
        The id that results carry.
    limits
        What an image may be.
    """

    def __init__(self, machine: str, limits: Limits) -> None:
        self._machine = machine
        self._limits = limits
        self._pipeline = Pipeline(limits)

    def answer(
        self, ticket: Ticket, image: memoryview | None, error: ImgbatchError | None = None
    ) -> tuple[Result, Processed]:
        """Return what became of an image: its result, and what was made, empty if nothing was.

        Parameters
        ----------
        error
            Why there is no image.
        """
        begun_seconds = time.monotonic()
        try:
            if error is not None:
                raise error
            if image is None or ticket.size_bytes > self._limits.max_bytes:
                raise LimitExceeded(
                    Code.TOO_MANY_BYTES,
                    f"the file has {ticket.size_bytes} bytes, more than the server's --max-bytes "
                    f"{self._limits.max_bytes} allows",
                )
            recipe = Recipe.from_fields(ticket.recipe)
            room = (WIDTH_PIXELS, HEIGHT_PIXELS) if ticket.wants_thumbnails else None
            processed = self._pipeline.run(image, recipe, ticket.max_pixels, room)
        except ImgbatchError as problem:
            return self.failure(ticket, begun_seconds, problem), _NOTHING
        return self._result(ticket, begun_seconds, processed), processed

    def failure(self, ticket: Ticket, begun_seconds: float, error: ImgbatchError) -> Result:
        """Return the result of an image that could not be processed, or not be sent."""
        return replace(
            self._result(ticket, begun_seconds, _NOTHING),
            kind=ResultKind.SKIPPED if isinstance(error, SkippedFile) else ResultKind.FAILED,
            code=error.code,
            sentence=sentence_of(error.sentence),
        )

    def _result(self, ticket: Ticket, begun_seconds: float, processed: Processed) -> Result:
        return Result(
            batch=ticket.batch,
            job=ticket.job,
            transfer=random.getrandbits(52),
            kind=ResultKind.DONE,
            code="",
            sentence="",
            machine=self._machine,
            width_pixels=processed.width_pixels,
            height_pixels=processed.height_pixels,
            size_bytes=len(processed.data),
            seconds=time.monotonic() - begun_seconds,
            notes=processed.notes,
        )


def frames_of(
    result: Result, data: bytes, thumbnails: tuple[bytes, bytes] | None, secrets: Secrets
) -> Iterator[bytes]:
    """Yield a result's frames as bytes: thumbnails, itself with the first piece, the others."""
    batch, job, transfer = result.batch, result.job, result.transfer
    if thumbnails is not None and sum(map(len, thumbnails)) <= LARGEST_THUMBNAILS_BYTES:
        before, after = thumbnails
        yield encode(Thumbnails(batch, job, transfer, len(before)), before + after, secrets)
    for offset, piece in pieces(data):
        chunk = Chunk(batch, job, transfer, offset, result.size_bytes)
        yield encode(chunk if offset else result, piece, secrets)
