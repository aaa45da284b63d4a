"""From what the pipeline made of an image to the frames that tell its client."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.frames import MACHINE, ticket

from imgbatch.errors import Code, DamagedImage, ImageError, SkippedFile
from imgbatch.pipeline import Processed
from imgbatch.protocol import Chunk, Result, decode
from imgbatch.protocol.assembly import Assembly
from imgbatch.protocol.slicing import CHUNK_BYTES
from imgbatch.server.answers import failure_of, frames_of, result_of


def processed(data: bytes) -> Processed:
    return Processed(data, 40, 30, ("icc-dropped",))


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1])
def test_a_result_travels_in_pieces_that_put_together_are_the_file(size: int) -> None:
    data = bytes(itertools.islice(itertools.cycle(range(251)), size))
    received = [
        decode(body)
        for body in frames_of(result_of(ticket(), MACHINE, 99, 0.5, processed(data)), data)
    ]
    first, *others = received
    assert isinstance(first.frame, Result)
    assert (first.frame.kind, first.frame.size_bytes) == ("done", size)
    assert (first.frame.width_pixels, first.frame.height_pixels) == (40, 30)
    assert first.frame.notes == ("icc-dropped",)
    assembly, offset, whole = Assembly(size, size), 0, None
    for piece in received:
        assert piece.frame.transfer == 99  # type: ignore[union-attr]
        whole = assembly.add(offset, piece.payload)
        offset += len(piece.payload)
    assert whole == data
    offsets = [piece.frame.offset_bytes for piece in others if isinstance(piece.frame, Chunk)]
    assert offsets == list(range(CHUNK_BYTES, size, CHUNK_BYTES))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DamagedImage(Code.TRUNCATED_IMAGE, "it breaks off"), "failed"),
        (SkippedFile(Code.NOT_AN_IMAGE, "it is a diary"), "skipped"),
    ],
)
def test_a_failure_says_why(error: ImageError, kind: str) -> None:
    result = failure_of(ticket(), MACHINE, 1, 0.5, error)
    (body,) = frames_of(result, b"")
    received = decode(body)
    assert received.frame == result
    assert (result.kind, result.code, result.sentence) == (kind, error.code, error.sentence)
    assert received.payload == b""


@given(st.text())
def test_whatever_a_codec_says_can_be_sent(sentence: str) -> None:
    error = DamagedImage(Code.DAMAGED_IMAGE, sentence * 300)
    (body,) = frames_of(failure_of(ticket(), MACHINE, 1, 0.5, error), b"")
    assert len(decode(body).frame.sentence) <= 2000  # type: ignore[union-attr]
