"""Animated PNG (W3C PNG, third edition, 11.3.6): frames in, frames out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from imgbatch.images.animation import (
    Animation,
    Disposal,
    Frame,
    Patch,
    changed_area,
    composed,
    first_picture,
)
from imgbatch.images.buffers import Buffers
from imgbatch.images.failures import beyond_repair, truncated
from imgbatch.images.failures import damaged as damaged_image
from imgbatch.images.picture import Encoded, Picture, Pixels, Shape
from imgbatch.images.png import container
from imgbatch.images.png.container import Chunk, PngStructure
from imgbatch.images.png.decode import PngSource, decode_intact, source_of
from imgbatch.images.png.encode import compress_pixels, header_of, metadata_chunks
from imgbatch.images.png.metadata import NamedChunk
from imgbatch.recipe import DamagedPolicy, Encoding

_CONTROL = ">5I2H2B"
_LARGEST = 65535


@dataclass(frozen=True, slots=True)
class _StoredFrame:
    """A frame as it is stored: its area, times, what becomes of it, and its data."""

    width_pixels: int
    height_pixels: int
    left: int
    top: int
    seconds: Fraction
    disposal: Disposal
    is_blended: bool
    data: list[memoryview]


@dataclass(frozen=True, slots=True)
class AnimatedPng(PngSource):
    """A PNG of several frames whose structure has been checked."""

    stored: tuple[_StoredFrame, ...]
    plays: int

    @property
    def shape(self) -> Shape:
        """As of a still picture, with alpha if there may be nothing at a place."""
        shape, first = self.structure.shape, self.stored[0]
        is_covered = (first.width_pixels, first.height_pixels) == (
            shape.width_pixels,
            shape.height_pixels,
        )
        is_erased = any(frame.disposal is Disposal.BACKGROUND for frame in self.stored)
        is_erased = is_erased or first.disposal is Disposal.PREVIOUS
        channels = shape.channels
        if channels in (1, 3) and (is_erased or not is_covered):
            channels += 1
        return replace(shape, channels=channels, frames=len(self.stored))

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode the first frame."""
        return first_picture(self, buffers, damaged)

    def frames(self, buffers: Buffers, damaged: DamagedPolicy) -> Iterator[Frame]:  # noqa: ARG002
        """Decode one frame after the other, as viewers show them."""
        structure, shape = self.structure, self.shape
        if structure.end is None:
            raise truncated("the PNG breaks off before its end chunk")
        if not structure.is_intact:
            raise damaged_image("a checksum in the PNG is wrong, or its image data are scattered")
        patches = (self._patch(stored, shape.channels, buffers) for stored in self.stored)
        for frame in composed(patches, shape):
            yield replace(frame, notes=self.notes())

    def _patch(self, stored: _StoredFrame, channels: int, buffers: Buffers) -> Patch:
        structure = self.structure
        header = replace(
            structure.header,
            width_pixels=stored.width_pixels,
            height_pixels=stored.height_pixels,
        )
        chunks = [chunk for chunk in structure.chunks if chunk.kind in (b"PLTE", b"tRNS")]
        chunks += [Chunk(b"IDAT", body) for body in stored.data]
        pixels = decode_intact(PngStructure(structure.data, header, chunks, structure.end), buffers)
        if pixels.shape[2] < channels:
            opaque = np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype)
            pixels = np.concatenate((pixels, opaque), axis=2)
        area = stored.left, stored.top, stored.seconds, stored.disposal
        return Patch(pixels, *area, stored.is_blended and channels in (2, 4))


def read(data: memoryview) -> PngSource:
    """Check a PNG's structure; an animation of one frame is a still picture.

    Raises
    ------
    DamagedImage, RefusedImage
        As `parse_png` and `source_of` do, and if frames don't fit the canvas or each other.
    """
    structure = container.parse_png(data)
    source, control = source_of(structure), structure.first(b"acTL")
    if control is None or len(control.body) < 8:
        return source
    count, plays = struct.unpack_from(">II", control.body)
    if count <= 1:
        return source
    stored = tuple(_stored_frames(structure))
    if len(stored) != count and structure.end is not None:
        raise beyond_repair(f"the PNG has {len(stored)} frames, and says that it has {count}")
    if not stored:
        raise truncated("the PNG breaks off before its first frame")
    return AnimatedPng(structure, stored, plays)


def _stored_frames(structure: PngStructure) -> Iterator[_StoredFrame]:
    """Yield the frames of an animation, and check that nothing of them is missing."""
    canvas, frame = structure.header, None
    expected = 0
    for chunk in structure.chunks:
        if chunk.kind in (b"fcTL", b"fdAT"):
            if int.from_bytes(chunk.body[:4]) != expected or not chunk.is_intact:
                raise damaged_image("the frames of the PNG are out of order, or damaged")
            expected += 1
        if chunk.kind == b"fcTL":
            if frame is not None:
                yield frame
            frame = _controlled(chunk.body)
            right, bottom = frame.left + frame.width_pixels, frame.top + frame.height_pixels
            if right > canvas.width_pixels or bottom > canvas.height_pixels:
                raise beyond_repair("a frame of the PNG lies outside of its canvas")
        elif chunk.kind == b"fdAT" and frame is not None:
            frame.data.append(chunk.body[4:])
        elif chunk.kind == b"IDAT" and frame is not None:
            frame.data.append(chunk.body)
    if frame is not None:
        yield frame


def _controlled(body: memoryview) -> _StoredFrame:
    if len(body) != struct.calcsize(_CONTROL):
        raise beyond_repair("a frame of the PNG has no size")
    _, *area, part, whole, disposal, is_blended = struct.unpack(_CONTROL, body)
    width, height, left, top = area
    if not (width and height) or disposal > 2 or is_blended > 1:
        raise beyond_repair("a frame of the PNG has values that no frame has")
    seconds = Fraction(part, whole or 100)
    return _StoredFrame(width, height, left, top, seconds, Disposal(disposal), bool(is_blended), [])


def write_frames(
    frames: Iterator[Frame], source: Animation, encoding: Encoding, buffers: Buffers
) -> Encoded:
    """Encode frames without loss, of each what differs from the one before."""
    before, after, notes = metadata_chunks(source, encoding)
    controls = struct.pack(">II", source.shape.frames, source.plays)
    chunks: list[NamedChunk] = [*before, (b"acTL", controls)]
    shown: Pixels | None = None
    sequence = 0
    for frame in frames:
        rows, columns = slice(0, frame.pixels.shape[0]), slice(0, frame.pixels.shape[1])
        if shown is not None:
            rows, columns = changed_area(shown, frame.pixels)
        area = np.ascontiguousarray(frame.pixels[rows, columns])
        largest = max(int(_LARGEST / max(frame.seconds, Fraction(1))), 1)
        seconds = frame.seconds.limit_denominator(largest)
        place = area.shape[1], area.shape[0], columns.start, rows.start
        time = min(seconds.numerator, _LARGEST), seconds.denominator
        chunks.append((b"fcTL", struct.pack(_CONTROL, sequence, *place, *time, 0, 0)))
        body = compress_pixels(area, encoding.png_level, buffers)  # type: ignore[arg-type]
        if shown is None:
            header, sequence = header_of(frame.pixels), sequence + 1
            chunks.append((b"IDAT", body))
        else:
            chunks.append((b"fdAT", struct.pack(">I", sequence + 1) + body))
            sequence += 2
        shown = frame.pixels
    file = container.join_png(header, [*chunks, *after])
    return Encoded([file], tuple(notes))
