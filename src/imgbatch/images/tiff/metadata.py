"""What stands beside a TIFF's pixels: which fields are kept, and what other formats can hold."""

from __future__ import annotations

import struct
from dataclasses import replace

from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.tiff import tags
from imgbatch.images.tiff.container import Directory, header, serialise


def metadata_of(directory: Directory, *, is_ink: bool) -> Metadata:
    """Return EXIF, XMP, ICC and resolution of a directory, without a profile that is of inks."""
    kept = {
        tag: entry
        for tag, entry in directory.entries.items()
        if tag not in tags.STRUCTURE and tag not in tags.OWN_PLACE
    }
    exif = None
    if kept:
        beside = replace(directory, entries=kept).as_classic()
        exif = header(directory.order, 8) + serialise(beside, 8)
    return Metadata(
        exif=exif,
        xmp=directory.data(tags.XMP),
        icc=None if is_ink else directory.data(tags.ICC),
        resolution=_resolution(directory),
        has_more=tags.IPTC in directory.entries or tags.PHOTOSHOP in directory.entries,
    )


def _resolution(directory: Directory) -> Resolution | None:
    values = [directory.data(tag) for tag in (tags.X_RESOLUTION, tags.Y_RESOLUTION)]
    unit = {2: "inch", 3: "centimetre"}.get(directory.number(tags.RESOLUTION_UNIT, 2))
    if unit is None or any(value is None or len(value) != 8 for value in values):
        return None
    pairs = [struct.unpack(f"{directory.order}II", value) for value in values if value is not None]
    if any(not above or not below for above, below in pairs):
        return None
    x, y = (above / below for above, below in pairs)
    return Resolution(x, y, unit)
