"""The blocks of a GIF (CompuServe's specification, version 89a)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from imgbatch.images.failures import beyond_repair, unsupported

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_HAS_TABLE, _IS_INTERLACED, _HAS_TRANSPARENT = 0x80, 0x40, 1
MOST_FRAMES = 100_000
MOST_EXTENSIONS = 10_000
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


@dataclass(frozen=True, slots=True)
class GifFrame:
    """A frame as it is stored.

    Parameters
    ----------
    left, top, width_pixels, height_pixels
        Its area of the canvas.
    palette
        Three bytes for each colour.
    codes
        How many bits the first code has, and the blocks of codes.
    is_interlaced
        Whether its rows are out of order.
    delay
        For how many hundredths of a second it is shown.
    disposal
        What becomes of it, 0 to 7.
    transparent
        The index that shows what is below; None if there is none.
    """

    left: int
    top: int
    width_pixels: int
    height_pixels: int
    palette: bytes
    codes: bytes | memoryview
    is_interlaced: bool = False
    delay: int = 0
    disposal: int = 0
    transparent: int | None = None


@dataclass(slots=True)
class GifStructure:
    """What `parse_gif` found.

    Parameters
    ----------
    width_pixels, height_pixels
        Of the canvas.
    palette
        Of frames that have none.
    frames
        Every complete frame.
    extensions
        Comments, and what programs have put there, each whole.
    plays
        How often an animation is played; 0: for ever.
    trailing_bytes
        How many bytes follow the GIF's end; None if it has none.
    """

    width_pixels: int
    height_pixels: int
    palette: bytes = b""
    frames: list[GifFrame] = field(default_factory=list)
    extensions: list[memoryview] = field(default_factory=list)
    plays: int = 1
    trailing_bytes: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the GIF ends as it should."""
        return self.trailing_bytes is not None


def parse_gif(data: memoryview) -> GifStructure:
    """Return the structure of a GIF, as far as it goes.

    Raises
    ------
    DamagedImage
        If it ends before its first frame, or has no pixels.
    RefusedImage
        If a frame lies outside of the canvas, or has no palette: viewers differ in what they show.
    """
    structure = GifStructure(0, 0)
    try:
        structure.width_pixels, structure.height_pixels = struct.unpack_from("<HH", data, 6)
        structure.palette = _table(data, 13, data[10])
        end = _parse_blocks(data, structure, 13 + len(structure.palette))
        structure.trailing_bytes = len(data) - end
    except (IndexError, struct.error):
        pass  # it ends there
    if not structure.frames:
        raise beyond_repair("the GIF ends before its first picture does")
    for frame in structure.frames:
        right, bottom = frame.left + frame.width_pixels, frame.top + frame.height_pixels
        if right > structure.width_pixels or bottom > structure.height_pixels:
            raise unsupported("a frame of the GIF lies outside of its canvas")
        if not frame.width_pixels * frame.height_pixels:
            raise beyond_repair("a frame of the GIF has no pixels")
        if not frame.palette:
            raise unsupported("a frame of the GIF has no palette")
    return structure


def _parse_blocks(data: memoryview, structure: GifStructure, position: int) -> int:
    """Parse from a position on, and return where the GIF ends.

    IndexError or struct.error if it does not.
    """
    control = b"\0\0\0\0"
    while (kind := data[position]) != _TRAILER:
        if len(structure.frames) >= MOST_FRAMES:
            raise unsupported(f"the GIF has more than {MOST_FRAMES} frames")
        start = position
        if kind == _EXTENSION:
            position = _blocks_end(data, start + 2)
            if data[start + 1] == _CONTROL:
                control = struct.unpack_from("4s", data, start + 3)[0]
            elif _says_plays(data, start):
                repeats = struct.unpack_from("<H", data, start + 16)[0]
                structure.plays = repeats + 1 if repeats else 0
            elif len(structure.extensions) >= MOST_EXTENSIONS:
                raise unsupported(f"the GIF has more than {MOST_EXTENSIONS} comments")
            else:
                structure.extensions.append(data[start:position])
        elif kind == _IMAGE:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, start + 1)
            palette = _table(data, start + 10, flags)
            codes = start + 10 + len(palette)
            position = _blocks_end(data, codes + 1)
            packed, delay, transparent = struct.unpack("<BHB", control)
            structure.frames.append(
                GifFrame(
                    left,
                    top,
                    width,
                    height,
                    palette or structure.palette,
                    data[codes:position],
                    bool(flags & _IS_INTERLACED),
                    delay,
                    packed >> 2 & 7,
                    transparent if packed & _HAS_TRANSPARENT else None,
                )
            )
            control = b"\0\0\0\0"
        elif kind == 0:  # some programs end their blocks twice
            position += 1
        else:
            raise IndexError
    return position + 1


def _says_plays(data: memoryview, start: int) -> bool:
    """Whether an extension says how often the GIF is played, and not how much to load before."""
    is_known = data[start + 1] == _APPLICATION and bytes(data[start + 3 : start + 14]) in _LOOPS
    return is_known and data[start + 14] >= 3 and data[start + 15] & 7 == 1


def _table(data: memoryview, position: int, flags: int) -> bytes:
    size = 3 * (2 << (flags & 7)) if flags & _HAS_TABLE else 0
    if position + size > len(data):
        raise IndexError
    return bytes(data[position : position + size])


def _blocks_end(data: memoryview, position: int) -> int:
    while size := data[position]:
        position += 1 + size
    return position + 1


def join_gif(
    size: tuple[int, int],
    frames: Iterable[GifFrame],
    plays: int = 1,
    extensions: Iterable[bytes | memoryview] = (),
) -> bytes:
    """Return a GIF of these frames; the palette of the first is the file's own."""
    parts: list[bytes | memoryview] = []
    shared = b""
    for frame in frames:
        palette, bits = _padded(frame.palette)
        if not parts:
            shared = palette
            parts += [struct.pack("<6sHHBBB", b"GIF89a", *size, 0xF0 | bits, 0, 0), palette]
            parts += [] if plays == 1 else [_loop(plays)]
            parts += extensions
        packed = frame.disposal << 2 | (frame.transparent is not None)
        if packed or frame.delay:
            transparent = frame.transparent or 0
            parts.append(struct.pack("<4BHBB", 0x21, 0xF9, 4, packed, frame.delay, transparent, 0))
        area = frame.left, frame.top, frame.width_pixels, frame.height_pixels
        flags = _IS_INTERLACED * frame.is_interlaced
        if palette == shared:
            parts.append(struct.pack("<BHHHHB", _IMAGE, *area, flags))
        else:
            parts += [struct.pack("<BHHHHB", _IMAGE, *area, flags | _HAS_TABLE | bits), palette]
        parts.append(frame.codes)
    return b"".join((*parts, b";"))


def _padded(palette: bytes) -> tuple[bytes, int]:
    """Return a palette of as many colours as a GIF can have, and the number that stands for it."""
    bits = max((len(palette) // 3 - 1).bit_length() - 1, 0)
    return palette.ljust(3 * (2 << bits), b"\0"), bits


def _loop(plays: int) -> bytes:
    repeats = plays - 1 if plays else 0
    return b"!\xff\x0bNETSCAPE2.0\3\1" + struct.pack("<HB", repeats, 0)
