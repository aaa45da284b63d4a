"""AVIF: decoding, 8 bits by Pillow and more by OpenCV."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from imgbatch.errors import DamagedImage
from imgbatch.images.animation import Frame
from imgbatch.images.avif.quality import quality_of, size_of
from imgbatch.images.buffers import Buffers
from imgbatch.images.failures import beyond_repair, truncated
from imgbatch.images.failures import damaged as damaged_image
from imgbatch.images.isobmff import (
    boxes,
    find,
    first_bytes,
    is_complete,
    item_kinds,
    pieces,
    primary_item,
    trailing_bytes,
)
from imgbatch.images.metadata import Metadata
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.opencv import decode_by_opencv
from imgbatch.images.picture import Picture, Pixels, Shape
from imgbatch.images.pillow import decode_by_pillow, frames_by_pillow, opened
from imgbatch.images.profiles import CodePoints, is_usual
from imgbatch.recipe import DamagedPolicy

_SAMPLINGS = {0b10: "4:2:2", 0b11: "4:2:0"}
_MEMORY_PER_BYTE, _ANIMATION_MEMORY_PER_BYTE = 16, 28
REPEATED = 1
"""A flag of an edit."""
_MOST_PLAYS = 2**31 - 1
"""That an animated PNG can have."""
_HEAD_BYTES = 1000


@dataclass(frozen=True, slots=True)
class AvifSource:
    """An AVIF file whose structure libavif has read.

    Parameters
    ----------
    data
        The file.
    shape
        As the pixels are stored, before they are turned.
    info
        What Pillow found beside them.
    configuration
        Of the codec: bits, whether grey, and sampling, as the third byte of ``av1C`` has them.
    plays
        How often an animation is played; 0: for ever.
    """

    data: memoryview
    shape: Shape
    info: dict[Any, Any]
    configuration: int
    plays: int
    file_format: ClassVar[str] = "avif"

    @property
    def bits(self) -> int:
        """Of a sample: 8, 10 or 12."""
        return 8 + 2 * (self.configuration >> 6 & 1) + 2 * (self.configuration >> 5 & 1)

    @property
    def sampling(self) -> str:
        """Of the chroma, as Pillow writes it."""
        is_grey = self.configuration >> 4 & 1
        return "4:0:0" if is_grey else _SAMPLINGS.get(self.configuration >> 2 & 3, "4:4:4")

    @property
    def quality(self) -> int | None:
        """The quality that its first frame was written at; None if that can't be read."""
        return quality_of(_coded(self.data), is_animated=self.shape.frames > 1)

    def metadata(self) -> Metadata:
        """Return EXIF, with the orientation that the file itself asks for, XMP and colours."""
        exif, icc = (
            self.info.get("exif", b"").removeprefix(b"Exif\0\0"),
            self.info.get("icc_profile"),
        )
        code_points = None if icc else _code_points(self.data)
        return Metadata(exif or None, self.info.get("xmp"), icc, code_points=code_points)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode the first picture to as many channels as `shape` says, 8 or 16 bits."""
        is_strict = self._checked(damaged)
        if self.shape.bits_per_sample == 8:
            pixels = decode_by_pillow(self.data, "AVIF", self.shape, is_strict=is_strict)
            return Picture(pixels, self._notes(is_reduced=self.bits > 8))
        pixels = decode_by_opencv(bytes(self.data), "AVIF", self.shape)
        if pixels.dtype != np.uint16 or pixels.shape != self.shape.array_shape:
            raise damaged_image("the AVIF's pixels are not as its header says")
        widened: Pixels = pixels << 16 - self.bits | pixels >> 2 * self.bits - 16  # type: ignore[assignment]
        return Picture(widened, self._notes(is_reduced=False))

    def frames(self, buffers: Buffers, damaged: DamagedPolicy) -> Iterator[Frame]:  # noqa: ARG002
        """Decode one frame after the other, to 8 bits."""
        is_strict = self._checked(damaged)
        notes = self._notes(is_reduced=self.bits > 8)
        for frame in frames_by_pillow(self.data, "AVIF", self.shape, is_strict=is_strict):
            yield replace(frame, notes=notes)

    def _notes(self, *, is_reduced: bool) -> tuple[Note, ...]:
        has_trailing = bool(trailing_bytes(self.data))
        facts = {Note.DEPTH_REDUCED: is_reduced, Note.TRAILING_DATA_DROPPED: has_trailing}
        return notes_where(facts)

    def _checked(self, damaged: DamagedPolicy) -> bool:
        is_strict = damaged is DamagedPolicy.STRICT
        if is_strict and not is_complete(self.data):
            raise truncated("the AVIF ends before its last piece")
        return is_strict


def read(data: memoryview) -> AvifSource:
    """Read an AVIF's structure.

    Raises
    ------
    DamagedImage, RefusedImage
        If libavif can't read it, or its kind.
    """
    import cv2
    from PIL import AvifImagePlugin

    # Each image has a process of its own, of whose address space a thread takes 72 MB: its stack
    # and its heap. Pillow would begin one for each core.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    try:
        with opened(data, "AVIF", is_strict=True) as image:
            size, info, mode = image.size, image.info, image.mode
            count: int = getattr(image, "n_frames", 1)
    except DamagedImage as error:
        if not is_complete(data):
            raise truncated("the AVIF ends before its pictures") from error
        raise
    # libavif would scale what it decodes to the size that the file says.
    if not _is_of_tiles(data) and size_of(_coded(data)) != size:
        raise beyond_repair("the AVIF says another size than its picture has")
    configuration = _configuration(data)
    is_grey, is_deep = configuration >> 4 & 1, configuration >> 6 & 1
    channels = (1 if is_grey else 3) + (mode == "RGBA")
    bits = 16 if is_deep and count == 1 and cv2.haveImageWriter(".avif") else 8
    memory = _MEMORY_PER_BYTE if count == 1 else _ANIMATION_MEMORY_PER_BYTE
    shape = Shape(*size, channels, bits, memory, count)
    return AvifSource(data, shape, info, configuration, _plays(data))


def _is_of_tiles(data: memoryview) -> bool:
    return item_kinds(data).get(primary_item(data)) == b"grid"


def _coded(data: memoryview) -> bytes:
    """Return what the picture begins with, or the largest of its tiles."""
    item = primary_item(data)
    if not item:  # an animation without a still picture
        table = find(data, b"moov", b"trak", b"mdia", b"minf", b"stbl")
        first = int.from_bytes(find(table, b"stco")[8:12] or find(table, b"co64")[8:16])
        return bytes(data[first : first + _HEAD_BYTES])
    if _is_of_tiles(data):
        kinds = item_kinds(data)
        tiles = (piece for piece in pieces(data) if kinds.get(piece.item) == b"av01")
        largest = max(tiles, key=lambda piece: piece.size, default=None)
        item = item if largest is None else largest.item
    return first_bytes(data, item, _HEAD_BYTES)


def _configuration(data: memoryview) -> int:
    """Return the third byte of the codec's configuration, of the picture and not of its alpha."""
    properties = boxes(find(data, b"meta", b"iprp", b"ipco"))
    found = [body[2] for kind, body in properties if kind == b"av1C" and len(body) > 2]
    return min(found, key=lambda byte: byte >> 4 & 1, default=0b1100)


def _code_points(data: memoryview) -> CodePoints | None:
    """Return the numbers that say what the colours are, if viewers mind them."""
    colours = find(data, b"meta", b"iprp", b"ipco", b"colr")
    if bytes(colours[:4]) != b"nclx" or len(colours) < 8:
        return None
    code_points = struct.unpack_from(">HH", colours, 4)
    return None if is_usual(code_points) else code_points


def _plays(data: memoryview) -> int:
    """Return how often an animation is played, by the duration of its track; 0: for ever."""
    track = find(data, b"moov", b"trak")
    edit, head = find(track, b"edts", b"elst"), find(track, b"tkhd")
    if len(edit) < 20 or len(head) < 36:
        return 0
    if not edit[3] & REPEATED:
        return 1
    once = int.from_bytes(edit[8:16] if edit[0] else edit[8:12])
    all_in_all = bytes(head[28:36] if head[0] else head[20:24])
    if not all_in_all.strip(b"\xff"):
        return 0  # for as long as can be said
    plays = round(int.from_bytes(all_in_all) / max(once, 1))
    return min(max(plays, 1), _MOST_PLAYS)
