"""The structure of a PNG file (W3C PNG, third edition): chunks, their lengths and checksums.

Decoders have believed a chunk's length before they saw its bytes: 43 bytes of file cost
gigabytes. So every length is held against the file's end here, and every checksum verified,
before one of them runs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from isal.isal_zlib import crc32  # in a tenth of zlib's time

from imgbatch.images.failures import beyond_repair, unsupported
from imgbatch.images.picture import Shape

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 200_000


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
"""How many samples a pixel has, by its colour type; the index into a palette is one."""

_DEPTHS = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}
"""How many bits a sample may have; of all other colour types 8 and 16."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: its type, its body, and whether its checksum is right."""

    kind: bytes
    body: memoryview
    is_intact: bool = True

    @property
    def is_critical(self) -> bool:
        """Whether a decoder that does not know it must give up."""
        return not self.kind[0] & 0x20

    @property
    def is_safe_to_copy(self) -> bool:
        """Whether it stays valid when the pixels change, by the case of its fourth letter."""
        return bool(self.kind[3] & 0x20)


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of IHDR."""

    width_pixels: int
    height_pixels: int
    depth: int
    colour_type: int
    is_interlaced: bool

    @property
    def body(self) -> bytes:
        """The body of IHDR."""
        sizes = self.width_pixels, self.height_pixels
        return struct.pack(">IIBBxxB", *sizes, self.depth, self.colour_type, self.is_interlaced)

    @property
    def row_bytes(self) -> int:
        """How many bytes a row has behind its filter."""
        return (self.width_pixels * self.depth * SAMPLES[self.colour_type] + 7) // 8


@dataclass(slots=True)
class PngStructure:
    """What `parse_png` found.

    Parameters
    ----------
    data
        The file.
    header
        The fields of IHDR.
    chunks
        Every complete chunk after IHDR, in order, IEND excluded.
    end
        The offset after IEND; None if there is none.
    """

    data: memoryview
    header: Header
    chunks: list[Chunk] = field(default_factory=list)
    end: int | None = None

    def first(self, kind: bytes) -> Chunk | None:
        """Return the first intact chunk of a type."""
        return next((c for c in self.chunks if c.kind == kind and c.is_intact), None)

    @property
    def image_data(self) -> list[Chunk]:
        """The chunks that the pixels are in."""
        return [chunk for chunk in self.chunks if chunk.kind == b"IDAT"]

    @property
    def is_intact(self) -> bool:
        """Whether it is complete, critical checksums are right, and image data lie in a row."""
        kinds = [chunk.kind for chunk in self.chunks]
        first, count = kinds.index(b"IDAT") if b"IDAT" in kinds else 0, kinds.count(b"IDAT")
        is_in_a_row = kinds[first : first + count] == [b"IDAT"] * count
        is_right = all(chunk.is_intact for chunk in self.chunks if chunk.is_critical)
        return self.end is not None and is_in_a_row and is_right

    @property
    def palette(self) -> memoryview | None:
        """The palette that pixels are indices into; None if there is no valid one."""
        chunk = self.first(b"PLTE")
        if self.header.colour_type != PALETTE or chunk is None:
            return None
        size = len(chunk.body)
        return chunk.body if size % 3 == 0 and 3 <= size <= 768 else None

    @property
    def transparency(self) -> memoryview | None:
        """What makes a colour, or colours of the palette, transparent."""
        chunk = self.first(b"tRNS")
        if chunk is None or not chunk.body:
            return None
        if self.palette is not None:
            return chunk.body if len(chunk.body) <= len(self.palette) // 3 else None
        expected = {GREY: 2, RGB: 6}.get(self.header.colour_type)
        return chunk.body if len(chunk.body) == expected else None

    @property
    def shape(self) -> Shape:
        """Palettes are delivered as RGB, transparent colours as alpha, 1 to 4 bits as 8."""
        header = self.header
        channels = 3 if header.colour_type == PALETTE else SAMPLES[header.colour_type]
        return Shape(
            header.width_pixels,
            header.height_pixels,
            channels + (self.transparency is not None),
            16 if header.depth == 16 else 8,
        )

    @property
    def keeps_samples(self) -> bool:
        """Whether pixels are delivered in as many samples and bits as they are stored."""
        is_indexed = self.header.colour_type == PALETTE
        return self.header.depth >= 8 and not is_indexed and self.transparency is None


def parse_png(data: memoryview) -> PngStructure:
    """Return the structure of a PNG file.

    Raises
    ------
    DamagedImage
        If the header is incomplete or has values that no PNG has.
    RefusedImage
        If a critical chunk is of an unknown kind.
    """
    structure = PngStructure(data, _parse_header(data))
    position = 33
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        stop = position + 8 + length
        if stop + 4 > len(data):
            break
        kind = bytes(data[position + 4 : position + 8])
        if kind == b"IEND":
            structure.end = stop + 4
            break
        checksum = int.from_bytes(data[stop : stop + 4], "big")
        is_intact = crc32(data[position + 4 : stop]) == checksum
        _add(structure, Chunk(kind, data[position + 8 : stop], is_intact))
        position = stop + 4
    if structure.end is None and bytes(data[position + 4 : position + 8]) == b"IDAT":
        structure.chunks.append(Chunk(b"IDAT", data[position + 8 :], is_intact=False))
    return structure


def _parse_header(data: memoryview) -> Header:
    if len(data) < 33 or bytes(data[8:16]) != b"\0\0\0\x0dIHDR":
        raise beyond_repair("the PNG does not begin with its header")
    if crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise beyond_repair("the PNG's header has a wrong checksum")
    width, height, depth, colour, compression, filtering, interlacing = struct.unpack_from(
        ">IIBBBBB", data, 16
    )
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise beyond_repair(f"the PNG's header says {width} x {height} pixels")
    is_known = colour in SAMPLES and depth in _DEPTHS.get(colour, (8, 16))
    if not is_known or compression or filtering or interlacing > 1:
        raise beyond_repair("the PNG's header has values that no PNG has")
    return Header(width, height, depth, colour, bool(interlacing))


def _add(structure: PngStructure, chunk: Chunk) -> None:
    if len(structure.chunks) >= MOST_CHUNKS:
        raise beyond_repair(f"the PNG has more than {MOST_CHUNKS} chunks")
    if not all(65 <= letter & 0xDF <= 90 for letter in chunk.kind):
        raise beyond_repair("the PNG has a chunk whose type is no four letters")
    if chunk.is_critical and chunk.is_intact and chunk.kind not in (b"IDAT", b"PLTE"):
        raise unsupported(f"the PNG has a critical chunk of unknown type {chunk.kind.decode()}")
    structure.chunks.append(chunk)


def chunk_parts(kind: bytes, body: bytes | memoryview) -> list[bytes | memoryview]:
    """Return a chunk in parts that are joined later, so that its body is copied once."""
    checksum = crc32(body, crc32(kind))
    return [struct.pack(">I", len(body)) + kind, body, struct.pack(">I", checksum)]


def join_png(header: Header, bodies: Iterable[tuple[bytes, bytes | memoryview]]) -> bytes:
    """Return a PNG file of these chunks, IHDR in front and IEND behind."""
    parts: list[bytes | memoryview] = [SIGNATURE, *chunk_parts(b"IHDR", header.body)]
    for kind, body in bodies:
        parts += chunk_parts(kind, body)
    parts += chunk_parts(b"IEND", b"")
    return b"".join(parts)
