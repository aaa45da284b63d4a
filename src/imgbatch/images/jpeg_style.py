"""How a JPEG is encoded: divisors, sampling, scans. The source's style is the output's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgbatch.images.jpeg_markers import ARITHMETIC_FRAMES, PROGRESSIVE_FRAMES
from imgbatch.images.jpeg_tables import (
    QuantisationTable,
    nearest_quality,
    standard_quality,
    standard_tables,
)
from imgbatch.images.notes import Note
from imgbatch.recipe import Encoding, Progressive

if TYPE_CHECKING:
    from imgbatch.images.jpeg_markers import Component, JpegStructure

DEFAULT_QUALITY = 92
"""For pictures that come from a format without a quality; with full chroma, so that edges
of drawings and screenshots keep their colour."""

_SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}


@dataclass(frozen=True, slots=True)
class JpegStyle:
    """How a JPEG is encoded.

    Parameters
    ----------
    tables
        The divisors of each component, or of luma and chroma.
    quality
        The quality whose tables these are; None if there is none.
    subsampling
        ``"444"``, ``"422"``, ``"420"``, ``"440"``, ``"411"`` or ``"gray"``.
    progressive
        Whether it is written in several scans.
    optimised
        Whether Huffman tables are made for the picture: 3 to 17 % smaller on photographs, and
        half as fast. Sources whose own tables are not the usual ones had them made.
    is_rgb
        Whether the components are red, green and blue themselves.
    """

    tables: tuple[QuantisationTable, ...]
    quality: int | None
    subsampling: str
    progressive: bool = False
    optimised: bool = False
    is_rgb: bool = False

    @property
    def nearest_quality(self) -> int:
        """The quality whose tables are these or nearest to them."""
        return self.quality if self.quality is not None else nearest_quality(self.tables)


def default_style(channels: int, encoding: Encoding) -> JpegStyle:
    """Return the style for a picture that was no JPEG."""
    quality = encoding.quality or DEFAULT_QUALITY
    return JpegStyle(
        tables=standard_tables(quality),
        quality=quality,
        subsampling="gray" if channels == 1 else "444",
        progressive=encoding.progressive is Progressive.YES,
    )


def style_of(
    structure: JpegStructure, encoding: Encoding, *, is_rgb: bool
) -> tuple[JpegStyle, list[Note]]:
    """Return the style of a source, with what the encoding asks to be otherwise."""
    frame = structure.frame
    notes: list[Note] = []
    subsampling = subsampling_of(frame.components)
    if subsampling is None:
        subsampling = "444"
        notes.append(Note.SUBSAMPLING_CHANGED)
    tables, quality = _tables(structure, encoding)
    if len(frame.components) == 4:
        tables = tables[:2]
    if frame.marker in ARITHMETIC_FRAMES:
        notes.append(Note.ARITHMETIC_CODING_DROPPED)
    progressive = frame.marker in PROGRESSIVE_FRAMES
    if encoding.progressive is not Progressive.KEEP:
        progressive = encoding.progressive is Progressive.YES
    optimised = not structure.standard_huffman or frame.marker in ARITHMETIC_FRAMES
    return JpegStyle(tables, quality, subsampling, progressive, optimised, is_rgb), notes


def _tables(
    structure: JpegStructure, encoding: Encoding
) -> tuple[tuple[QuantisationTable, ...], int | None]:
    if encoding.quality is not None:
        return standard_tables(encoding.quality), encoding.quality
    tables = tuple(
        structure.quantisation[component.table]
        for component in structure.frame.components
        if component.table in structure.quantisation
    )
    if len(tables) != len(structure.frame.components):
        return standard_tables(DEFAULT_QUALITY), DEFAULT_QUALITY
    return tables, standard_quality(tables)


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
