"""PNG pixels: of plain files by isal and compiled loops, all others through OpenCV.

isal inflates a plain file and compiled loops undo the filters, a band of rows at a time. That takes
a third of OpenCV's time (76 ms against 239 for 10.8 megapixels of RGB), since isal inflates twice
as fast as zlib, and a band stays in the processor's cache from one step to the next: inflated as a
whole, the same rows take a third longer to inflate, and as much memory as the pixels. Whatever is
not exactly as it should be is left to OpenCV, which decides what is damage.

OpenCV reads every depth, and inflates faster than Pillow (33 ms against 44 for 2 megapixels).
It sees nothing of the file but what it needs for the pixels: its PNG code has crashed and taken
gigabytes over chunks that have nothing to do with them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from isal import igzip_lib

from imgbatch.errors import DamagedImage
from imgbatch.images import failures
from imgbatch.images.buffers import Buffers
from imgbatch.images.metadata import Metadata
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.opencv import decode_by_opencv
from imgbatch.images.picture import Picture, Pixels, Shape
from imgbatch.images.png import container
from imgbatch.images.png.container import PngStructure
from imgbatch.images.png.metadata import NamedChunk, metadata_of
from imgbatch.recipe import DamagedPolicy
from imgbatch_kernels.compiled import is_executable
from imgbatch_kernels.png import unfilter_rows

_BAND_BYTES = 2**17
"""From 64 to 256 KB are equally fast, 32 KB and 2 MB 8 % slower."""
_SALVAGE_STEP_BYTES = 256


@dataclass(frozen=True, slots=True)
class PngSource:
    """A PNG file whose structure has been checked."""

    structure: PngStructure
    file_format: ClassVar[str] = "png"

    @property
    def shape(self) -> Shape:
        """Palettes are delivered as RGB, transparent colours as alpha, 1 to 4 bits as 8."""
        return self.structure.shape

    def metadata(self) -> Metadata:
        """Return EXIF, XMP, ICC and resolution from the chunks."""
        return metadata_of(self.structure)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode to 8 or 16 bits, with as many channels as `shape` says."""
        structure, is_strict = self.structure, damaged is DamagedPolicy.STRICT
        if is_strict and structure.end is None:
            raise failures.truncated("the PNG breaks off before its end chunk")
        if is_strict and not structure.is_intact:
            raise failures.damaged(
                "a checksum in the PNG is wrong, or its image data are scattered"
            )
        try:
            if structure.is_intact:
                return Picture(decode_intact(structure, buffers), self.notes())
        except DamagedImage:
            if is_strict:
                raise
        return Picture(decode_salvaged(structure), (*self.notes(), Note.SALVAGED))

    def notes(self) -> tuple[Note, ...]:
        """Return what decoding changes."""
        header, end = self.structure.header, self.structure.end
        is_grey = header.colour_type == container.GREY
        facts = {
            Note.PALETTE_EXPANDED: header.colour_type == container.PALETTE,
            Note.DEPTH_EXPANDED: is_grey and header.depth < 8,
            Note.INTERLACE_DROPPED: header.is_interlaced,
            Note.TRAILING_DATA_DROPPED: end not in (None, len(self.structure.data)),
        }
        return notes_where(facts)


def source_of(structure: PngStructure) -> PngSource:
    """Return a still picture of a structure.

    Raises
    ------
    DamagedImage
        If a palette is missing.
    """
    if structure.header.colour_type == container.PALETTE and structure.palette is None:
        raise failures.beyond_repair("the PNG has no palette")
    return PngSource(structure)


def decode_intact(structure: PngStructure, buffers: Buffers) -> Pixels:
    """Decode a file whose structure is complete, into a kept buffer if it is a plain one.

    Raises
    ------
    DamagedImage
        If the decoder refuses it.
    """
    plain = decode_plain(structure, buffers)
    return plain if plain is not None else decode_any(structure, needed_chunks(structure))


def decode_salvaged(structure: PngStructure) -> Pixels:
    """Decode what is there; rows that are missing repeat the last one.

    Raises
    ------
    DamagedImage
        If not even the first row is there.
    """
    header = structure.header
    chunks = needed_chunks(structure)
    body = b"".join(body for kind, body in chunks if kind == b"IDAT")
    stride, height = 1 + header.row_bytes, header.height_pixels
    # An interlaced picture has up to 15/8 as many rows, shorter ones, of which each may have a
    # filter and some bits more. A decoder leaves what is too much.
    most_bytes = stride * height + (3 * height + 16 if header.is_interlaced else 0)
    rows = _inflate_what_is_there(body, most_bytes)
    if len(rows) < stride:
        raise failures.beyond_repair("the PNG has no complete row")
    filler = np.zeros(most_bytes - len(rows), np.uint8)
    if not header.is_interlaced:
        filler[(-len(rows)) % stride :: stride] = 2  # the filter "up": zeros repeat the row above
    meaning = [(kind, body) for kind, body in chunks if kind != b"IDAT"]
    repaired = zlib.compress(rows + filler.tobytes(), 1)
    return decode_any(structure, [*meaning, (b"IDAT", repaired)])


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


def needed_chunks(structure: PngStructure) -> list[NamedChunk]:
    """Return the chunks that pixels depend on, if they are valid."""
    meaning = {b"PLTE": structure.palette, b"tRNS": structure.transparency}
    needed = [(kind, body) for kind, body in meaning.items() if body is not None]
    return [*needed, *((b"IDAT", chunk.body) for chunk in structure.image_data)]


def decode_any(structure: PngStructure, chunks: list[NamedChunk]) -> Pixels:
    """Decode a file of any kind that has these chunks by OpenCV; raises DamagedImage."""
    header = structure.header
    pixels = decode_by_opencv(container.join_png(header, chunks), "PNG", structure.shape)
    if header.colour_type == container.GREY_ALPHA and pixels.shape[2] == 4:
        pixels = np.ascontiguousarray(pixels[:, :, ::3])  # type: ignore[assignment]
    elif header.colour_type == container.GREY and structure.transparency is not None:
        pixels = _with_keyed_alpha(pixels, structure.transparency, header.depth)
    if pixels.shape != structure.shape.array_shape:
        raise failures.damaged("the PNG's pixels are not as its header says")
    return pixels


def _with_keyed_alpha(grey: Pixels, transparency: memoryview, depth: int) -> Pixels:
    """Add the alpha of a transparent grey level, which OpenCV leaves out."""
    highest = (1 << depth) - 1
    level = int.from_bytes(transparency, "big") & highest
    if depth < 8:
        level *= 255 // highest
    alpha = np.where(grey == level, 0, np.iinfo(grey.dtype).max).astype(grey.dtype)
    return np.concatenate((grey, alpha), axis=2)


# --- Plain files ----------------------------------------------------------------------------------


def decode_plain(structure: PngStructure, buffers: Buffers) -> Pixels | None:
    """Decode grey or colour of 8 or 16 bits, not interlaced, with no colour that is transparent.

    Returns
    -------
        The pixels, in the buffer kept as ``decoded``; None if the file is of another kind, its
        image data are not one valid zlib stream of just as many bytes as there should be, or
        compiled loops can't be run here.
    """
    is_plain = structure.keeps_samples and not structure.header.is_interlaced
    if not is_plain or not is_executable():
        return None
    shape = structure.shape
    pixels = buffers.get("decoded", shape)
    rows: npt.NDArray[Any] = pixels.reshape(shape.height_pixels, -1)
    inflater: Any = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    bodies = iter([chunk.body for chunk in structure.image_data if chunk.body])
    fill = partial(_fill, inflater, bodies)
    try:
        is_decoded = _decode_rows(fill, rows, shape, buffers)
        has_more = fill(np.empty(1, np.uint8))
    except igzip_lib.error:  # type: ignore[misc]  # the class, which its stub calls an instance
        return None
    is_over = inflater.eof and not inflater.unused_data and next(bodies, None) is None
    return pixels if is_decoded and is_over and not has_more else None


def _fill(inflater: Any, bodies: Iterator[memoryview], target: npt.NDArray[np.uint8]) -> bool:
    """Fill an array with what a zlib stream has next; False if it ends before."""
    filled = 0
    while filled < target.size and not inflater.eof:
        body = next(bodies, None) if inflater.needs_input else b""
        if body is None:
            break
        inflated = inflater.decompress(body, target.size - filled)
        target.data[filled : filled + len(inflated)] = inflated
        filled += len(inflated)
    return filled == target.size


def _decode_rows(
    fill: Callable[[npt.NDArray[np.uint8]], bool],
    rows: npt.NDArray[Any],
    shape: Shape,
    buffers: Buffers,
) -> bool:
    """Decode into rows of samples; False if bytes are missing or a filter is unknown."""
    step = shape.channels * rows.itemsize
    stride = 1 + shape.width_pixels * step
    band_rows = min(max(1, _BAND_BYTES // stride), shape.height_pixels)
    memory = buffers.bytes_of("png band", ((1 + band_rows) * stride,))
    memory[:stride] = 0
    for first in range(0, shape.height_pixels, band_rows):
        out = rows[first : first + band_rows]
        size = (1 + len(out)) * stride
        if not (fill(memory[stride:size]) and unfilter_rows(memory[:size], out, step)):
            return False
    return True
