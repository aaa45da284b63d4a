"""Stable words for what an output could not keep of its input, as they stand in reports."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Note(StrEnum):
    """What an output lost, or how it differs from its input besides the adjustment."""

    # the file
    NAME_SAYS_ANOTHER_FORMAT = "name-says-another-format"
    FORMAT_CHANGED = "format-changed"
    # pixels
    ALPHA_FLATTENED = "alpha-flattened"
    FRAMES_DROPPED = "frames-dropped"
    DEPTH_REDUCED = "depth-reduced"
    CMYK_CONVERTED = "cmyk-converted"
    PALETTE_EXPANDED = "palette-expanded"
    PALETTE_REDUCED = "palette-reduced"
    DEPTH_EXPANDED = "depth-expanded"
    SALVAGED = "salvaged"
    # encoding
    INTERLACE_DROPPED = "interlace-dropped"
    QUALITY_ESTIMATED = "quality-estimated"
    SUBSAMPLING_CHANGED = "subsampling-changed"
    ARITHMETIC_CODING_DROPPED = "arithmetic-coding-dropped"
    COMPRESSION_CHANGED = "compression-changed"
    # what stands beside the pixels
    EXIF_DROPPED = "exif-dropped"
    XMP_DROPPED = "xmp-dropped"
    ICC_DROPPED = "icc-dropped"
    METADATA_DROPPED = "metadata-dropped"
    METADATA_DAMAGED = "metadata-damaged"
    EMBEDDED_PICTURES_DROPPED = "embedded-pictures-dropped"
    TRAILING_DATA_DROPPED = "trailing-data-dropped"
    PADDING_DROPPED = "padding-dropped"


def notes_where(facts: Mapping[Note, bool]) -> tuple[Note, ...]:
    """Return the notes of facts that hold."""
    return tuple(note for note, holds in facts.items() if holds)
