"""What the APPn and COM segments of a JPEG hold, and how they are written again.

EXIF stands in APP1 (JEITA CP-3451), XMP in APP1 (Adobe's XMP specification, part 3), an ICC
profile in one or more APP2 (ICC.1, annex B.4), the resolution in APP0 (JFIF).
"""

from __future__ import annotations

from collections.abc import Iterator

from imgbatch.images.jpeg.container import APP0, APP15, JpegStructure, Kind, Segment
from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.notes import Note

_LARGEST_BODY = 65533
_LARGEST_ICC_PART = 65519
"""Less the identifier, and two bytes for its number and how many there are."""

_JFIF_UNITS = {0: "aspect", 1: "inch", 2: "centimetre"}


def metadata_of(structure: JpegStructure) -> Metadata:
    """Return what of the segments other formats have a place for."""
    contents = structure.contents
    exif, xmp = contents.get(Kind.EXIF), contents.get(Kind.XMP)
    return Metadata(
        exif=None if exif is None else bytes(exif),
        xmp=None if xmp is None else bytes(xmp),
        icc=_join_profile(structure.segments),
        resolution=_resolution(contents.get(Kind.JFIF, memoryview(b""))),
        has_more=not contents.keys().isdisjoint((None, Kind.MULTI_PICTURE)),
    )


def _resolution(jfif: memoryview) -> Resolution | None:
    if len(jfif) < 7 or jfif[2] not in _JFIF_UNITS:
        return None
    x, y = int.from_bytes(jfif[3:5], "big"), int.from_bytes(jfif[5:7], "big")
    if not x or not y or (jfif[2] == 0 and x == y):
        return None
    return Resolution(x, y, _JFIF_UNITS[jfif[2]])


def _join_profile(segments: list[Segment]) -> bytes | None:
    """Return the ICC profile from its numbered parts; None if there is none, or one is missing."""
    parts: dict[int, memoryview] = {}
    total = 0
    for segment in segments:
        part = segment.content
        if segment.kind is Kind.ICC and len(part) >= 2:
            parts.setdefault(part[0], part[2:])
            total = max(total, part[1])
    if not total or set(parts) != set(range(1, total + 1)):
        return None
    return b"".join(parts[number] for number in range(1, total + 1))


def kept_segments(
    structure: JpegStructure, *, converted_from_cmyk: bool
) -> tuple[list[bytes | memoryview], list[Note]]:
    """Return every segment that the output keeps, byte for byte, and notes on the others.

    An index of further pictures (MPF) would point behind the end of the file. A profile for
    inks, and Adobe's word on how they are stored, would be wrong for the colours made of them.
    """
    dropped = {Kind.MULTI_PICTURE} | ({Kind.ADOBE, Kind.ICC} if converted_from_cmyk else set())
    kept = [segment.whole for segment in structure.segments if segment.kind not in dropped]
    has_index = Kind.MULTI_PICTURE in structure.contents
    return [*kept], [Note.EMBEDDED_PICTURES_DROPPED] if has_index else []


def carried_segments(metadata: Metadata) -> tuple[list[bytes | memoryview], list[Note]]:
    """Return segments for EXIF, XMP and profile of another format, and notes on what has none."""
    segments: list[bytes | memoryview] = []
    notes: list[Note] = []
    for kind, body, note in (
        (Kind.EXIF, metadata.exif, Note.EXIF_DROPPED),
        (Kind.XMP, metadata.xmp, Note.XMP_DROPPED),
    ):
        if body is not None and len(kind.value[1]) + len(body) <= _LARGEST_BODY:
            segments.append(_segment(kind, body))
        elif body is not None:
            notes.append(note)
    profile = list(profile_segments(metadata.icc))
    if metadata.icc is not None and not profile:
        notes.append(Note.ICC_DROPPED)
    if metadata.has_more:
        notes.append(Note.METADATA_DROPPED)
    return [*segments, *profile], notes


def _segment(kind: Kind, content: bytes) -> bytes:
    marker, identifier = kind.value
    length = (2 + len(identifier) + len(content)).to_bytes(2, "big")
    return bytes((0xFF, marker)) + length + identifier + content


def profile_segments(icc: bytes | None) -> Iterator[bytes]:
    """Yield the segments of a profile; none if there is none, or it is too large for any JPEG."""
    parts = range(0, len(icc or b""), _LARGEST_ICC_PART)
    if icc is None or len(parts) > 255:
        return
    for number, start in enumerate(parts, 1):
        part = icc[start : start + _LARGEST_ICC_PART]
        yield _segment(Kind.ICC, bytes((number, len(parts))) + part)


def jfif_segment(resolution: Resolution | None) -> bytes:
    """Return a JFIF header; resolutions that don't fit its 16-bit whole numbers are left out."""
    unit, x, y = 0, 1, 1
    if resolution is not None:
        resolution = resolution.in_unit("inch")
        rounded_x, rounded_y = round(resolution.x), round(resolution.y)
        if 0 < rounded_x < 65536 and 0 < rounded_y < 65536:
            unit, x, y = int(resolution.unit == "inch"), rounded_x, rounded_y
    sizes = x.to_bytes(2, "big") + y.to_bytes(2, "big")
    return _segment(Kind.JFIF, b"\x01\x01" + bytes((unit,)) + sizes + b"\0\0")


def split_encoded(encoded: bytes) -> tuple[memoryview, memoryview]:
    """Return the APPn segments that an encoder wrote in front, and all that follows them."""
    view = memoryview(encoded)
    position = 2
    while APP0 <= view[position + 1] <= APP15:
        position += 2 + int.from_bytes(view[position + 2 : position + 4], "big")
    return view[2:position], view[position:]
