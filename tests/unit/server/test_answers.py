"""From a ticket and its image to the frames that tell its client what became of it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.frames import EVERY, MACHINE, read, result, ticket
from tests.support.photos import encoded

from imgbatch.adjustment import Adjustment
from imgbatch.batch.thumbnails import jpeg_size
from imgbatch.errors import Code, DamagedImage
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline, Processed, process
from imgbatch.protocol.frames import Chunk, Result, Thumbnails
from imgbatch.protocol.slicing import CHUNK_BYTES, LARGEST_THUMBNAILS_BYTES
from imgbatch.recipe import Recipe
from imgbatch.server.answers import Answerer, frames_of

ADJUSTMENT = Adjustment(brightness=10)
IMAGE = encoded(".jpg")


def answer_to(
    image: bytes, limits: Limits | None = None, **changes: Any
) -> tuple[Result, Processed]:
    asked = ticket(size_bytes=len(image), recipe=Recipe(ADJUSTMENT).to_fields(), **changes)
    return Answerer(MACHINE, limits or Limits()).answer(asked, memoryview(image))


def test_a_result_is_what_the_pipeline_makes_and_says_so() -> None:
    frame, made = answer_to(IMAGE)
    assert made.data == process(IMAGE, ADJUSTMENT)
    assert (frame.kind, frame.size_bytes, frame.machine) == ("done", len(made.data), MACHINE)
    assert (frame.width_pixels, frame.height_pixels) == (48, 32)
    assert 0 < frame.seconds < 60


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1])
def test_a_result_travels_in_pieces_that_put_together_are_the_file(size: int) -> None:
    data = bytes(itertools.islice(itertools.cycle(range(251)), size))
    first = result(transfer=99, size_bytes=size)
    received = [read(body) for body in frames_of(first, data, None, EVERY)]
    assert received[0].frame == first
    assert {piece.frame.transfer for piece in received} == {99}  # type: ignore[union-attr]
    assert b"".join(piece.payload for piece in received) == data
    offsets = [piece.frame.offset_bytes for piece in received if isinstance(piece.frame, Chunk)]
    assert offsets == list(range(CHUNK_BYTES, size, CHUNK_BYTES))


@pytest.mark.parametrize(
    ("image", "kind", "code"),
    [
        (IMAGE[:400], "failed", Code.TRUNCATED_IMAGE),
        (b"a diary", "skipped", Code.NOT_AN_IMAGE),
        (IMAGE + bytes(5000), "failed", Code.TOO_MANY_BYTES),
    ],
)
def test_a_failure_says_why(image: bytes, kind: str, code: Code) -> None:
    frame, made = answer_to(image, Limits(max_bytes=4000), wants_thumbnails=True)
    assert (frame.kind, frame.code, made.data) == (kind, code, b"")
    (body,) = frames_of(frame, made.data, made.thumbnails, EVERY)
    assert read(body).frame == frame


def test_thumbnails_go_just_before_their_result_if_the_ticket_wants_them() -> None:
    frame, made = answer_to(IMAGE, wants_thumbnails=True)
    first, second = map(read, frames_of(frame, made.data, made.thumbnails, EVERY))
    assert isinstance(first.frame, Thumbnails)
    assert first.frame.transfer == frame.transfer
    at = first.frame.before_bytes
    halves = bytes(first.payload[:at]), bytes(first.payload[at:])
    assert [jpeg_size(half) for half in halves] == [(48, 32)] * 2
    assert (second.frame, second.payload) == (frame, made.data)
    assert answer_to(IMAGE)[1].thumbnails is None


def test_thumbnails_that_are_too_large_for_a_client_are_not_sent() -> None:
    pair = (b"", bytes(LARGEST_THUMBNAILS_BYTES))
    assert len(list(frames_of(result(), b"image", pair, EVERY))) == 2
    assert len(list(frames_of(result(), b"image", (b"x", pair[1]), EVERY))) == 1


@given(st.text())
def test_whatever_a_codec_says_can_be_sent(sentence: str) -> None:
    def run(*_: object) -> None:
        raise DamagedImage(Code.DAMAGED_IMAGE, sentence * 300)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "run", run)
        (body,) = frames_of(answer_to(IMAGE)[0], b"", None, EVERY)
    assert len(read(body).frame.sentence) <= 2000  # type: ignore[union-attr]
