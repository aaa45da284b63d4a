"""From what the pipeline made of an image to the frames that tell its client."""

from __future__ import annotations

from collections.abc import Iterator

from imgbatch.errors import ImageError, SkippedFile
from imgbatch.pipeline import Processed
from imgbatch.protocol import Chunk, Result, ResultKind, Ticket, encode
from imgbatch.protocol.fields import SENTENCE
from imgbatch.protocol.slicing import pieces

LARGEST_BUNDLED_BYTES = 128 * 1024
"""Of a larger result, the bytes cost more than the message's turn, so it waits for no others."""


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
