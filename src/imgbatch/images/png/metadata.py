"""The chunks beside a PNG's pixels: which are kept, and what other formats have a place for."""

from __future__ import annotations

from collections.abc import Iterator

from imgbatch.images.deflate import deflate_bytes
from imgbatch.images.metadata import Metadata, Resolution, inflate
from imgbatch.images.notes import Note
from imgbatch.images.png.container import PngStructure
from imgbatch.images.profiles import CodePoints, is_usual
from imgbatch.recipe import PngLevel

Body = bytes | memoryview
NamedChunk = tuple[bytes, Body]

_XMP_KEYWORD = b"XML:com.adobe.xmp"
_COLOUR = frozenset((b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI"))
"""Say what the samples mean; without them a picture would look different."""

_KNOWN_UNSAFE = _COLOUR | {b"tIME", b"pCAL", b"sCAL", b"oFFs", b"sTER", b"gIFg", b"gIFx", b"vpAg"}
"""Marked as depending on the pixels, but not on their values."""

_SAMPLES = {b"bKGD", b"sBIT"}
"""Have a value for each sample of a pixel, as the file has them."""

_BOUND_TO_OLD_DATA = frozenset(
    (b"PLTE", b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT", b"iDOT", b"dSIG")
)
"""Palettes have become colours, and the others describe how the old image data were laid out."""


def kept_chunks(
    structure: PngStructure,
) -> tuple[list[NamedChunk], list[NamedChunk], list[Note]]:
    """Return the chunks that stand before and after the image data of the output, and notes."""
    before: list[NamedChunk] = []
    after: list[NamedChunk] = []
    notes: list[Note] = []
    known = _KNOWN_UNSAFE | (_SAMPLES if structure.keeps_samples else set())
    current = before
    for chunk in structure.chunks:
        if chunk.kind == b"IDAT":
            current = after
        elif not chunk.is_intact:
            notes.append(Note.METADATA_DAMAGED)
        elif chunk.is_safe_to_copy or chunk.kind in known:
            current.append((chunk.kind, chunk.body))
        elif chunk.kind not in _BOUND_TO_OLD_DATA:
            notes.append(Note.METADATA_DROPPED)
    return before, after, notes


def metadata_of(structure: PngStructure) -> Metadata:
    """Return what of the chunks other formats have a place for."""
    exif, xmp, icc, resolution, has_more = None, None, None, None, False
    code_points: CodePoints | None = None
    for chunk in structure.chunks:
        body = chunk.body
        if not chunk.is_intact or chunk.is_critical or chunk.kind in _BOUND_TO_OLD_DATA:
            continue
        if chunk.kind == b"eXIf":
            exif = bytes(body).removeprefix(b"Exif\0\0")
        elif chunk.kind == b"iCCP":
            icc = _profile(bytes(body))
        elif chunk.kind == b"pHYs" and len(body) == 9:
            resolution = _resolution(bytes(body))
        elif chunk.kind == b"iTXt" and body[: len(_XMP_KEYWORD) + 1] == _XMP_KEYWORD + b"\0":
            xmp = _text(bytes(body))
        elif chunk.kind == b"cICP" and len(body) == 4:
            code_points = None if is_usual((body[0], body[1])) else (body[0], body[1])
        elif chunk.kind not in _SAMPLES | {b"sRGB"}:
            has_more = True
    if code_points is not None:
        icc = None  # the numbers go before a profile (W3C PNG, third edition, 4.3)
    return Metadata(exif, xmp, icc, resolution, code_points, has_more)


def _profile(body: bytes) -> bytes | None:
    _, separator, rest = body.partition(b"\0")
    return inflate(rest[1:]) if separator and rest[:1] == b"\0" else None


def _resolution(body: bytes) -> Resolution | None:
    x, y = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    if body[8] == 1 and x and y:
        return Resolution(x / 100, y / 100, "centimetre")
    return Resolution(x, y, "aspect") if x and y and x != y else None


def _text(body: bytes) -> bytes | None:
    """Return the text of an iTXt chunk."""
    fields = body.split(b"\0", 1)[1]
    is_compressed, rest = fields[:1] == b"\1", fields[2:]
    parts = rest.split(b"\0", 2)
    if len(parts) != 3:
        return None
    return inflate(parts[2]) if is_compressed else parts[2]


def stripped_chunks(structure: PngStructure) -> list[NamedChunk]:
    """Return the chunks that say what colours mean, and the orientation."""
    kept = [(c.kind, c.body) for c in structure.chunks if c.kind in _COLOUR and c.is_intact]
    orientation = Metadata(exif=metadata_of(structure).exif).stripped()
    return [*kept, *carried_chunks(orientation)]


def carried_chunks(metadata: Metadata) -> Iterator[NamedChunk]:
    """Yield chunks for metadata that came in another format."""
    if metadata.icc is not None:
        yield b"iCCP", b"ICC profile\0\0" + deflate_bytes(metadata.icc, PngLevel.SMALL)
    elif metadata.code_points is not None:
        yield b"cICP", bytes((*metadata.code_points, 0, 1))
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    if metadata.resolution is not None:
        yield from _resolution_chunk(metadata.resolution)
    if metadata.xmp is not None:
        yield b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp


def _resolution_chunk(resolution: Resolution) -> Iterator[NamedChunk]:
    resolution = resolution.in_unit("centimetre")
    is_metric = resolution.unit == "centimetre"
    factor = 100 if is_metric else 1
    x, y = round(resolution.x * factor), round(resolution.y * factor)
    if 0 < x < 2**31 and 0 < y < 2**31:
        yield b"pHYs", x.to_bytes(4, "big") + y.to_bytes(4, "big") + bytes((is_metric,))
