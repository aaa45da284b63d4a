"""GIF: decoding; Pillow undoes the codes of a frame, and what is shown is put together here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from imgbatch.images.animation import Disposal, Frame, Patch, composed, first_picture
from imgbatch.images.buffers import Buffers
from imgbatch.images.failures import damaged as damaged_image
from imgbatch.images.failures import truncated
from imgbatch.images.gif.container import GifFrame, GifStructure, join_gif, parse_gif
from imgbatch.images.metadata import Metadata
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.picture import Picture, Shape
from imgbatch.images.pillow import opened
from imgbatch.recipe import DamagedPolicy

_DISPOSALS = {2: Disposal.BACKGROUND, 3: Disposal.PREVIOUS, 4: Disposal.PREVIOUS}
"""4 is no value of the specification's; browsers take it for 3."""
_XMP, _ICC = b"\x0bXMP DataXMP", b"\x0bICCRGBG1012"
_XMP_TRAILER_BYTES = 258
_MEMORY_PER_BYTE = 16
"""Most of it to count colours."""


@dataclass(frozen=True, slots=True)
class GifSource:
    """A GIF whose structure has been checked."""

    structure: GifStructure
    file_format: ClassVar[str] = "gif"

    @property
    def shape(self) -> Shape:
        """RGB, or RGBA if a viewer may see through it."""
        structure = self.structure
        size, first = (structure.width_pixels, structure.height_pixels), structure.frames[0]
        is_opaque = (
            (first.width_pixels, first.height_pixels) == size
            and first.transparent is None
            and _DISPOSALS.get(first.disposal) is not Disposal.PREVIOUS
            and all(frame.disposal != 2 for frame in structure.frames)
        )
        return Shape(
            *size,
            3 if is_opaque else 4,
            memory_per_byte=_MEMORY_PER_BYTE,
            frames=len(structure.frames),
        )

    @property
    def plays(self) -> int:
        """How often an animation is played; 0: for ever."""
        return self.structure.plays

    def metadata(self) -> Metadata:
        """Return XMP and profile."""
        xmp = icc = None
        has_more = False
        for extension in map(bytes, self.structure.extensions):
            if extension[2:14] == _XMP:
                xmp = extension[14:-_XMP_TRAILER_BYTES]
            elif extension[2:14] == _ICC:
                icc = _joined(extension[14:])
            else:
                has_more = True
        return Metadata(xmp=xmp, icc=icc, has_more=has_more)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode the first frame."""
        return first_picture(self, buffers, damaged)

    def frames(self, buffers: Buffers, damaged: DamagedPolicy) -> Iterator[Frame]:  # noqa: ARG002
        """Decode one frame after the other, as viewers show them."""
        structure, shape = self.structure, self.shape
        if damaged is DamagedPolicy.STRICT and not structure.is_complete:
            raise truncated("the GIF breaks off before its end")
        facts = {
            Note.SALVAGED: not structure.is_complete,
            Note.TRAILING_DATA_DROPPED: bool(structure.trailing_bytes),
        }
        patches = (_patch(frame, damaged) for frame in structure.frames)
        for frame in composed(patches, replace(shape, channels=4)):
            pixels = frame.pixels
            if shape.channels == 3:
                pixels = np.ascontiguousarray(pixels[:, :, :3])  # type: ignore[assignment]
            yield Frame(pixels, frame.seconds, notes_where(facts))


def _joined(blocks: bytes) -> bytes:
    """Return what is in blocks that each begin with their length."""
    parts, position = [], 0
    while size := blocks[position]:
        parts.append(blocks[position + 1 : position + 1 + size])
        position += 1 + size
    return b"".join(parts)


def _patch(frame: GifFrame, damaged: DamagedPolicy) -> Patch:
    size = frame.width_pixels, frame.height_pixels
    alone = join_gif(size, [replace(frame, left=0, top=0, delay=0, disposal=0, transparent=None)])
    with opened(alone, "GIF", is_strict=damaged is DamagedPolicy.STRICT) as image:
        image.load()
        indices = np.asarray(image)
    colours = np.frombuffer(frame.palette, np.uint8).reshape(-1, 3)
    if indices.max() >= len(colours):
        raise damaged_image("a GIF's pixel has a colour that is not in its palette")
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    if frame.transparent is not None:
        table[frame.transparent : frame.transparent + 1] = 0
    return Patch(
        table[indices],
        frame.left,
        frame.top,
        Fraction(frame.delay, 100),
        _DISPOSALS.get(frame.disposal, Disposal.NONE),
        is_blended=True,
    )


def read(data: memoryview) -> GifSource:
    """Check a GIF's structure.

    Raises
    ------
    DamagedImage, RefusedImage
        As `parse_gif` does.
    """
    return GifSource(parse_gif(data))
