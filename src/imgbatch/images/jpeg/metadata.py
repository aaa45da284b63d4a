"""What the APPn and COM segments of a JPEG hold, and how they are written again.

EXIF stands in APP1 (JEITA CP-3451), XMP in APP1 (Adobe's XMP specification, part 3), an ICC
profile in one or more APP2 (ICC.1, annex B.4), the resolution in APP0 (JFIF).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imgbatch.images.jpeg.container import APP0, APP1, APP2, APP14, Segment
from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.notes import Note

if TYPE_CHECKING:
    from imgbatch.images.jpeg.container import JpegStructure

EXIF, XMP, ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_EXTENDED_XMP, _MULTI_PICTURE = b"http://ns.adobe.com/xmp/extension/\0", b"MPF\0"
_JFIF, _ADOBE = b"JFIF\0", b"Adobe"
_LARGEST_BODY = 65533
_LARGEST_ICC_PART = _LARGEST_BODY - len(ICC) - 2
_JFIF_UNITS = {0: "aspect", 1: "inch", 2: "centimetre"}


def starts_with(data: memoryview, segment: Segment, marker: int, signature: bytes) -> bool:
    """Whether a segment is of this kind."""
    head = data[segment.start : min(segment.start + len(signature), segment.stop)]
    return segment.marker == marker and head == signature


def adobe_transform(data: memoryview, segments: Sequence[Segment]) -> int | None:
    """Return the colour transform that an Adobe segment names: 0 none, 1 YCbCr, 2 YCCK."""
    for segment in segments:
        if starts_with(data, segment, APP14, _ADOBE) and segment.stop - segment.start >= 12:
            return data[segment.start + 11]
    return None


def has_jfif(data: memoryview, segments: Sequence[Segment]) -> bool:
    """Whether the file says that it is JFIF, whose colours are YCbCr or grey."""
    return any(starts_with(data, segment, APP0, _JFIF) for segment in segments)


def metadata_of(data: memoryview, segments: Sequence[Segment]) -> Metadata:
    """Return what of the segments other formats have a place for."""
    exif, xmp, resolution, has_more = None, None, None, False
    for segment in segments:
        body = bytes(data[segment.start : segment.stop])
        if starts_with(data, segment, APP1, EXIF) and exif is None:
            exif = body[len(EXIF) :]
        elif starts_with(data, segment, APP1, XMP) and xmp is None:
            xmp = body[len(XMP) :]
        elif starts_with(data, segment, APP0, _JFIF):
            resolution = _jfif_resolution(body)
        elif not (
            starts_with(data, segment, APP2, ICC) or starts_with(data, segment, APP14, _ADOBE)
        ):
            has_more = True
    return Metadata(exif, xmp, _join_profile(data, segments), resolution, has_more)


def _jfif_resolution(body: bytes) -> Resolution | None:
    if len(body) < 12 or body[7] not in _JFIF_UNITS:
        return None
    x, y = int.from_bytes(body[8:10], "big"), int.from_bytes(body[10:12], "big")
    if not x or not y or (body[7] == 0 and x == y):
        return None
    return Resolution(x, y, _JFIF_UNITS[body[7]])


def _join_profile(data: memoryview, segments: Sequence[Segment]) -> bytes | None:
    """Return the ICC profile from its numbered parts; None if there is none, or one is missing."""
    parts: dict[int, memoryview] = {}
    total = 0
    for segment in segments:
        body = data[segment.start : segment.stop]
        if starts_with(data, segment, APP2, ICC) and len(body) >= len(ICC) + 2:
            parts.setdefault(body[len(ICC)], body[len(ICC) + 2 :])
            total = max(total, body[len(ICC) + 1])
    if not total or set(parts) != set(range(1, total + 1)):
        return None
    return b"".join(parts[number] for number in range(1, total + 1))


def kept_segments(
    data: memoryview, structure: JpegStructure, *, converted_from_cmyk: bool
) -> tuple[list[bytes | memoryview], list[Note]]:
    """Return every segment that the output keeps, byte for byte, and notes on the others.

    An index of further pictures (MPF) would point behind the end of the file. A profile for
    inks, and Adobe's word on how they are stored, would be wrong for the colours made of them.
    """
    kept: list[bytes | memoryview] = []
    notes: list[Note] = []
    for segment in structure.segments:
        if starts_with(data, segment, APP2, _MULTI_PICTURE):
            notes.append(Note.EMBEDDED_PICTURES_DROPPED)
        elif not converted_from_cmyk or not (
            starts_with(data, segment, APP14, _ADOBE) or starts_with(data, segment, APP2, ICC)
        ):
            kept.append(data[segment.start - 4 : segment.stop])
    return kept, notes


def carried_segments(metadata: Metadata) -> tuple[list[bytes | memoryview], list[Note]]:
    """Return segments for EXIF, XMP and profile of another format, and notes on what has none."""
    segments: list[bytes | memoryview] = []
    notes: list[Note] = []
    for kind, body, note in (
        (EXIF, metadata.exif, Note.EXIF_DROPPED),
        (XMP, metadata.xmp, Note.XMP_DROPPED),
    ):
        if body is not None and len(kind) + len(body) <= _LARGEST_BODY:
            segments.append(_segment(APP1, kind + body))
        elif body is not None:
            notes.append(note)
    profile = list(profile_segments(metadata.icc))
    if metadata.icc is not None and not profile:
        notes.append(Note.ICC_DROPPED)
    if metadata.has_more:
        notes.append(Note.METADATA_DROPPED)
    return [*segments, *profile], notes


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def profile_segments(icc: bytes | None) -> Iterator[bytes]:
    """Yield the segments of a profile; none if there is none, or it is too large for any JPEG."""
    parts = range(0, len(icc or b""), _LARGEST_ICC_PART)
    if icc is None or len(parts) > 255:
        return
    for number, start in enumerate(parts, 1):
        part = icc[start : start + _LARGEST_ICC_PART]
        yield _segment(APP2, ICC + bytes((number, len(parts))) + part)


def jfif_segment(resolution: Resolution | None) -> bytes:
    """Return a JFIF header; resolutions that don't fit its 16-bit whole numbers are left out."""
    unit, x, y = 0, 1, 1
    if resolution is not None:
        resolution = resolution.in_unit("inch")
        rounded_x, rounded_y = round(resolution.x), round(resolution.y)
        if 0 < rounded_x < 65536 and 0 < rounded_y < 65536:
            unit, x, y = int(resolution.unit == "inch"), rounded_x, rounded_y
    sizes = x.to_bytes(2, "big") + y.to_bytes(2, "big")
    return _segment(APP0, _JFIF + b"\x01\x01" + bytes((unit,)) + sizes + b"\0\0")


def split_encoded(encoded: bytes) -> tuple[memoryview, memoryview]:
    """Return the APPn segments that an encoder wrote in front, and all that follows them."""
    view = memoryview(encoded)
    position = 2
    while APP0 <= view[position + 1] <= APP14 + 1:
        position += 2 + int.from_bytes(view[position + 2 : position + 4], "big")
    return view[2:position], view[position:]
