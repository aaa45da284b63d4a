"""Metadata that moves between formats, and the one tag that is never stripped."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

ORIENTATION_TAG = 0x0112
LARGEST_PROFILE_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Resolution:
    """Resolution in dots per centimetre or inch, or the shape of a pixel without a unit."""

    x: float
    y: float
    unit: str

    def in_unit(self, unit: str) -> Resolution:
        """Return the same resolution in ``"inch"`` or ``"centimetre"``."""
        if self.unit in ("aspect", unit):
            return self
        factor = 2.54 if unit == "inch" else 1 / 2.54
        return Resolution(self.x * factor, self.y * factor, unit)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata that every format has a place for.

    Parameters
    ----------
    exif
        The TIFF structure that EXIF is, from its byte-order mark.
    xmp
        The XMP packet, UTF-8.
    icc
        The ICC profile, inflated.
    resolution
        The resolution.
    code_points
        Primaries and transfer, as ITU-T H.273 numbers them, of colours that have no profile.
    has_more
        Whether the source has further metadata, which has no place in other formats.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    resolution: Resolution | None = None
    code_points: tuple[int, int] | None = None
    has_more: bool = False

    def stripped(self) -> Metadata:
        """Return what is never dropped: what colours mean, and the orientation."""
        exif = orientation_only(self.exif)
        return Metadata(exif=exif, icc=self.icc, code_points=self.code_points)


def orientation_of(exif: bytes | None) -> int | None:
    """Return the orientation, 1 to 8, that an EXIF block asks viewers for; None if none."""
    if exif is None or exif[:2] not in (b"II", b"MM"):
        return None
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, at)
            if tag == ORIENTATION_TAG and kind == 3:
                (value,) = struct.unpack_from(f"{order}H", exif, at + 8)
                return value if 1 <= value <= 8 else None
    except struct.error:
        return None
    return None


def orientation_only(exif: bytes | None) -> bytes | None:
    """Return an EXIF block of nothing but the orientation that `exif` has; None if it has none."""
    orientation = orientation_of(exif)
    if orientation is None:
        return None
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, ORIENTATION_TAG, 3, 1, orientation, 0, 0)


def inflate(
    compressed: bytes | memoryview, most_bytes: int = LARGEST_PROFILE_BYTES
) -> bytes | None:
    """Return the inflated bytes; None if they are damaged, incomplete or more than `most_bytes`.

    A profile of a few kilobytes can't take gigabytes: inflating stops at the bound.
    """
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(compressed, most_bytes)
    except zlib.error:
        return None
    return inflated if inflater.eof else None
