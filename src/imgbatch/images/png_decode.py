"""PNG pixels: the plain ones by `png_plain`, all others through OpenCV.

OpenCV reads every depth, and inflates faster than Pillow (33 ms against 44 for 2 megapixels).
It sees nothing of the file but what it needs for the pixels: its PNG code has crashed and taken
gigabytes over chunks that have nothing to do with them, so files with others than the plain ones
are handed to it without them.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from imgbatch.images.failures import beyond_repair, damaged
from imgbatch.images.opencv import decode_by_opencv
from imgbatch.images.picture import Pixels, Shape
from imgbatch.images.png_chunks import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    Chunk,
    PngStructure,
    join_png,
)
from imgbatch.images.png_plain import decode_plain

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers

_PLAIN = frozenset((b"pHYs", b"tIME", b"gAMA", b"cHRM", b"sRGB", b"bKGD", b"tEXt"))
"""Chunks of fixed size or without compression: they cost a decoder nothing."""

_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 3, GREY_ALPHA: 2, RGBA: 4}
_SALVAGE_STEP_BYTES = 256


def palette_of(structure: PngStructure) -> Chunk | None:
    """Return the palette that pixels are indices into; None if there is no valid one."""
    chunk = structure.first(b"PLTE")
    if structure.header.colour_type != PALETTE or chunk is None:
        return None
    return chunk if chunk.size_bytes % 3 == 0 and 3 <= chunk.size_bytes <= 768 else None


def transparency_of(structure: PngStructure) -> Chunk | None:
    """Return the chunk that makes a colour, or colours of the palette, transparent."""
    chunk = structure.first(b"tRNS")
    if chunk is None:
        return None
    palette = palette_of(structure)
    most = {GREY: 2, RGB: 6, PALETTE: palette.size_bytes // 3 if palette else 0}
    size, allowed = chunk.size_bytes, most.get(structure.header.colour_type, 0)
    is_valid = 0 < size <= allowed and (palette is not None or size == allowed)
    return chunk if is_valid else None


def shape_of(structure: PngStructure) -> Shape:
    """Return what decoding will deliver."""
    header = structure.header
    has_alpha_chunk = transparency_of(structure) is not None
    channels = _CHANNELS[header.colour_type] + has_alpha_chunk
    return Shape(
        header.width_pixels, header.height_pixels, channels, 16 if header.depth == 16 else 8
    )


def decode_intact(data: memoryview, structure: PngStructure, buffers: Buffers) -> Pixels:
    """Decode a file whose structure is complete, into a kept buffer if it is a plain one.

    Raises
    ------
    DamagedImage
        If the decoder refuses it.
    """
    if transparency_of(structure) is None:
        plain = decode_plain(data, structure, shape_of(structure), buffers)
        if plain is not None:
            return plain
    return decode_any(data, structure)


def decode_any(data: memoryview, structure: PngStructure) -> Pixels:
    """Decode a file of any kind by OpenCV; raises DamagedImage."""
    needed = _needed_chunks(structure)
    others = len(structure.chunks) - len(needed)
    is_plain = others == sum(chunk.kind in _PLAIN for chunk in structure.chunks)
    encoded: memoryview | bytes = data
    if not is_plain or structure.end != len(data):
        encoded = join_png(structure.header, [(c.kind, data[c.start : c.stop]) for c in needed])
    return _decode(encoded, data, structure)


def decode_salvaged(data: memoryview, structure: PngStructure) -> Pixels:
    """Decode what is there; rows that are missing repeat the last one.

    Raises
    ------
    DamagedImage
        If not even the first row is there.
    """
    header = structure.header
    parts = [data[c.start : c.stop] for c in structure.chunks if c.kind == b"IDAT"]
    rows = _inflate_what_is_there(b"".join(parts), header.filtered_bytes)
    stride = header.filtered_bytes // header.height_pixels
    if len(rows) < min(stride, header.filtered_bytes):
        raise beyond_repair("the PNG has no complete row")
    filler = np.zeros(header.filtered_bytes - len(rows), np.uint8)
    if not header.is_interlaced:
        filler[(-len(rows)) % stride :: stride] = 2  # the filter "up": zeros repeat the row above
    needed = [c for c in _needed_chunks(structure) if c.kind != b"IDAT"]
    repaired = zlib.compress(rows + filler.tobytes(), 1)
    bodies = [(c.kind, data[c.start : c.stop]) for c in needed]
    return _decode(join_png(header, [*bodies, (b"IDAT", repaired)]), data, structure)


def _inflate_what_is_there(body: bytes, most_bytes: int) -> bytes:
    """Inflate up to the first error, in small steps so that little in front of it is lost."""
    inflater = zlib.decompressobj()
    inflated = bytearray()
    try:
        for start in range(0, len(body), _SALVAGE_STEP_BYTES):
            step = inflater.unconsumed_tail + body[start : start + _SALVAGE_STEP_BYTES]
            inflated += inflater.decompress(step, most_bytes - len(inflated))
            if len(inflated) == most_bytes or inflater.eof:
                break
    except zlib.error:
        pass
    return bytes(inflated)


def _needed_chunks(structure: PngStructure) -> list[Chunk]:
    """Return the chunks that pixels depend on; a transparent grey OpenCV would only ignore."""
    meaning = [palette_of(structure), transparency_of(structure)]
    return [
        *(chunk for chunk in meaning if chunk is not None),
        *(chunk for chunk in structure.chunks if chunk.kind == b"IDAT"),
    ]


def _decode(encoded: bytes | memoryview, data: memoryview, structure: PngStructure) -> Pixels:
    """Return the pixels as `shape_of` says, by OpenCV; raises DamagedImage."""
    shape = shape_of(structure)
    pixels = decode_by_opencv(encoded, "PNG", shape)
    if structure.header.colour_type == GREY_ALPHA and pixels.shape[2] == 4:
        pixels = np.ascontiguousarray(pixels[:, :, ::3])  # type: ignore[assignment]
    elif structure.header.colour_type == GREY:
        pixels = _with_keyed_alpha(pixels, data, structure)
    if pixels.shape != shape.array_shape:
        raise damaged("the PNG's pixels are not as its header says")
    return pixels


def _with_keyed_alpha(grey: Pixels, data: memoryview, structure: PngStructure) -> Pixels:
    """Add the alpha of a transparent grey level, which OpenCV leaves out."""
    chunk, depth = transparency_of(structure), structure.header.depth
    if chunk is None:
        return grey
    highest = (1 << depth) - 1
    level = int.from_bytes(data[chunk.start : chunk.stop], "big") & highest
    if depth < 8:
        level *= 255 // highest
    opaque = np.iinfo(grey.dtype).max
    alpha = np.where(grey == level, 0, opaque).astype(grey.dtype)
    return np.concatenate((grey, alpha), axis=2)
