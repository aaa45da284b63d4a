"""The structure of a JPEG file (ITU-T T.81, annex B): markers, segments, frame, scans.

Nothing here is decoded, and no length that the file claims is believed beyond the file's end.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from enum import Enum

from imgbatch.images.failures import beyond_repair, damaged, truncated, unsupported

QuantisationTable = tuple[int, ...]
"""64 divisors, in the zigzag order in which files have them."""

SOI, EOI, SOS, DQT, DHT, DNL, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDC, 0xFE
APP0, APP14, APP15 = 0xE0, 0xEE, 0xEF
PROGRESSIVE_FRAMES = frozenset((0xC2, 0xCA))
ARITHMETIC_FRAMES = frozenset((0xC9, 0xCA))
_DECODED_FRAMES = frozenset((0xC0, 0xC1, *PROGRESSIVE_FRAMES, *ARITHMETIC_FRAMES))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD8)))

MOST_SEGMENTS = 100_000
"""A profile has at most 255 segments, extended XMP about as many; 64 million empty ones fit into
the largest file allowed, and would take a minute to walk."""

_SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}

_MOST_SCANNED_PIXELS = 4_000_000_000

# A marker inside or after entropy-coded data: not a stuffed zero, a restart or a fill byte.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class Kind(Enum):
    """What a segment holds, by its marker and the identifier that its body begins with."""

    JFIF = 0xE0, b"JFIF\0"
    EXIF = 0xE1, b"Exif\0\0"
    XMP = 0xE1, b"http://ns.adobe.com/xap/1.0/\0"
    ICC = 0xE2, b"ICC_PROFILE\0"
    MULTI_PICTURE = 0xE2, b"MPF\0"
    ADOBE = 0xEE, b"Adobe"


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker segment.

    Parameters
    ----------
    marker
        The marker's second byte.
    start
        Where the segment begins in the file.
    whole
        Its bytes, from the marker on.
    """

    marker: int
    start: int
    whole: memoryview

    @property
    def body(self) -> memoryview:
        """What follows marker and length."""
        return self.whole[4:]

    @property
    def stop(self) -> int:
        """Where the segment ends in the file."""
        return self.start + len(self.whole)

    @property
    def kind(self) -> Kind | None:
        """What it holds; None if it is of another kind."""
        for kind in Kind:
            marker, identifier = kind.value
            if self.marker == marker and self.body[: len(identifier)] == identifier:
                return kind
        return None

    @property
    def content(self) -> memoryview:
        """What follows the identifier."""
        return self.body[len(self.kind.value[1]) if self.kind else 0 :]


@dataclass(frozen=True, slots=True)
class Component:
    """One colour component as the frame header describes it."""

    identifier: int
    horizontal: int
    vertical: int
    table: int


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The frame header: how the picture is coded, and its size."""

    marker: int
    width_pixels: int
    height_pixels: int
    components: tuple[Component, ...]


@dataclass(slots=True)
class JpegStructure:
    """What `parse_jpeg` found; `frame` is set when it returns.

    Parameters
    ----------
    frame
        The frame header.
    segments
        Every APPn and COM segment in front of the first scan, in order.
    quantisation
        The tables by their number.
    huffman
        Of each Huffman table, how many codes of 1 to 16 bits it has.
    scans
        How many scans the file has.
    end
        The offset after the EOI marker; None if there is none.
    """

    frame: FrameHeader
    segments: list[Segment] = field(default_factory=list)
    quantisation: dict[int, QuantisationTable] = field(default_factory=dict)
    huffman: set[bytes] = field(default_factory=set)
    scans: int = 0
    end: int | None = None

    @property
    def contents(self) -> dict[Kind | None, memoryview]:
        """The content of the first segment of each kind."""
        return {segment.kind: segment.content for segment in reversed(self.segments)}


def parse_jpeg(data: memoryview) -> JpegStructure:
    """Return the structure of a JPEG file.

    Raises
    ------
    DamagedImage
        If the headers are incomplete or contradict themselves.
    RefusedImage
        If the frame is of a kind that the decoder can't deliver in 8 bits.
    """
    structure = JpegStructure(frame=FrameHeader(0, 0, 0, ()))
    position = 2
    for _ in range(MOST_SEGMENTS):
        segment = _next_segment(data, position)
        if segment.marker == SOS:
            break
        _note_segment(structure, segment, bytes(segment.body))
        position = segment.stop
    else:
        raise beyond_repair(f"the JPEG has more than {MOST_SEGMENTS} segments")
    if not structure.frame.components:
        raise beyond_repair("the JPEG has a scan before its frame header")
    _note_scans(structure, data, segment.stop)
    check_cost(structure)
    return structure


def _next_segment(data: memoryview, position: int) -> Segment:
    """Return the segment that begins at or, after stray bytes, behind a position."""
    match = _NEXT_MARKER.search(data, position)
    if match is None or match.end() + 2 > len(data):
        raise truncated("the JPEG ends within its headers")
    marker = data[match.end() - 1]
    if marker in _STANDALONE:
        return Segment(marker, match.end() - 2, data[match.end() - 2 : match.end()])
    if marker in (SOI, EOI):
        raise beyond_repair("the JPEG ends or begins again within its headers")
    length = int.from_bytes(data[match.end() : match.end() + 2], "big")
    stop = match.end() + length
    if length < 2:
        raise beyond_repair(f"the JPEG has a segment of length {length}")
    if stop > len(data):
        raise truncated("the JPEG ends within its headers")
    return Segment(marker, match.end() - 2, data[match.end() - 2 : stop])


def _note_segment(structure: JpegStructure, segment: Segment, body: bytes) -> None:
    marker = segment.marker
    if APP0 <= marker <= APP15 or marker == COM:
        structure.segments.append(segment)
    elif marker in _FRAMES:
        if structure.frame.components:
            raise beyond_repair("the JPEG has two frame headers")
        structure.frame = _parse_frame(marker, body)
    elif marker == DQT:
        structure.quantisation |= _quantisation_tables(body)
    elif marker == DHT:
        structure.huffman |= _huffman_counts(body)


def _quantisation_tables(body: bytes) -> dict[int, QuantisationTable]:
    tables: dict[int, QuantisationTable] = {}
    position = 0
    while position < len(body):
        number, wide = body[position] & 15, body[position] >> 4
        stored = body[position + 1 : position + 1 + (64 << wide)]
        if wide > 1 or number > 3 or len(stored) != 64 << wide:
            raise beyond_repair("the JPEG has a malformed quantisation table")
        tables[number] = struct.unpack(">64H" if wide else "64B", stored)
        position += 1 + len(stored)
    return tables


def _huffman_counts(body: bytes) -> set[bytes]:
    found = set()
    position = 0
    while position < len(body):
        counts = body[position + 1 : position + 17]
        position += 17 + sum(counts)
        if len(counts) != 16 or position > len(body):
            raise beyond_repair("the JPEG has a malformed Huffman table")
        found.add(counts)
    return found


def _parse_frame(marker: int, body: bytes) -> FrameHeader:
    if marker not in _DECODED_FRAMES:
        raise unsupported(
            "the JPEG is lossless or hierarchical, which no common decoder reads; "
            "convert it to PNG or to a plain JPEG first"
        )
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise beyond_repair("the JPEG's frame header has the wrong length")
    if body[0] != 8:
        raise unsupported(f"the JPEG has {body[0]} bits per sample; only 8 are supported")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    components = tuple(
        Component(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2])
        for at in range(6, len(body), 3)
    )
    if not width or not height:
        raise beyond_repair(f"the JPEG's frame header says {width} x {height} pixels")
    if len(components) not in (1, 3, 4):
        raise unsupported(f"the JPEG has {len(components)} colour components; 1, 3 and 4 are known")
    if not all(1 <= c.horizontal <= 4 and 1 <= c.vertical <= 4 for c in components):
        raise beyond_repair("the JPEG has a sampling factor outside 1 to 4")
    return FrameHeader(marker, width, height, components)


def _note_scans(structure: JpegStructure, data: memoryview, position: int) -> None:
    """Count the scans, and find the end of the picture.

    Tables between scans are seen here too: their numbers may be reused, but what stood in
    front of the first scan is what the encoder chose, so only Huffman tables are noted.
    """
    structure.scans = 1
    for number, match in enumerate(_NEXT_MARKER.finditer(data, position)):
        if number > MOST_SEGMENTS:
            raise beyond_repair(f"the JPEG has more than {MOST_SEGMENTS} segments")
        marker = data[match.end() - 1]
        if match.start() < position:
            continue
        if marker == EOI:
            structure.end = match.end()
            return
        length = int.from_bytes(data[match.end() : match.end() + 2], "big")
        position = match.end() + length
        structure.scans += marker == SOS
        if marker == DNL:
            raise unsupported("the JPEG defines its height after its first scan (DNL)")


def check_cost(structure: JpegStructure) -> None:
    """Refuse a progressive file that has far more scans than any encoder writes.

    Each scan costs a pass over the whole picture, and an empty one only about a dozen bytes:
    without a bound, 100 KB could keep a core busy for hours. Encoders write about 10 scans.

    Raises
    ------
    DamagedImage
        If there are more than 1000, or scans times pixels are more than 4 thousand million.
    """
    frame = structure.frame
    pixels = frame.width_pixels * frame.height_pixels
    if structure.scans > 1000 or structure.scans * pixels > _MOST_SCANNED_PIXELS:
        raise damaged(f"the JPEG has {structure.scans} scans")


def subsampling_of(components: tuple[Component, ...]) -> str | None:
    """Return the usual name of the chroma sampling; None if it has none."""
    if len(components) == 1:
        return "gray"
    luma, first, second = components[:3]
    if (first.horizontal, first.vertical) != (second.horizontal, second.vertical):
        return None
    across, across_rest = divmod(luma.horizontal, first.horizontal)
    down, down_rest = divmod(luma.vertical, first.vertical)
    if across_rest or down_rest:
        return None
    return _SUBSAMPLINGS.get((across, down))
