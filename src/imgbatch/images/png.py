"""PNG: decoding of every kind, and encoding with all that stood beside the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imgbatch.images.failures import beyond_repair, several_pictures, truncated
from imgbatch.images.failures import damaged as damaged_image
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.picture import Encoded, Picture, Pixels, Shape
from imgbatch.images.png_ancillary import (
    carried_chunks,
    kept_chunks,
    metadata_of,
    stripped_chunks,
)
from imgbatch.images.png_chunks import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    SIGNATURE,
    Header,
    PngStructure,
    chunk_parts,
    header_body,
    parse_png,
)
from imgbatch.images.png_decode import decode_intact, decode_salvaged
from imgbatch.recipe import DamagedPolicy, Encoding

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.codec import Source
    from imgbatch.images.limits import Limits
    from imgbatch.images.metadata import Metadata
    from imgbatch.images.png_ancillary import NamedChunk

_COLOUR_TYPES = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}


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
        structure = self.structure
        if damaged is DamagedPolicy.SALVAGE:
            return self._salvage(buffers)
        if structure.end is None:
            raise truncated("the PNG breaks off before its end chunk")
        if not structure.is_intact:
            raise damaged_image("a checksum in the PNG is wrong")
        return Picture(decode_intact(structure, buffers), self._notes())

    def _salvage(self, buffers: Buffers) -> Picture:
        from imgbatch.errors import DamagedImage

        if self.structure.is_intact:
            try:
                pixels = decode_intact(self.structure, buffers)
                return Picture(pixels, self._notes())
            except DamagedImage:
                pass
        pixels = decode_salvaged(self.structure)
        return Picture(pixels, (*self._notes(), Note.SALVAGED))

    def _notes(self) -> tuple[Note, ...]:
        header = self.structure.header
        return notes_where(
            {
                Note.PALETTE_EXPANDED: header.colour_type == PALETTE,
                Note.DEPTH_EXPANDED: header.colour_type == GREY and header.depth < 8,
                Note.INTERLACE_DROPPED: header.is_interlaced,
                Note.TRAILING_DATA_DROPPED: self.structure.end
                not in (None, len(self.structure.data)),
            }
        )


def read(data: memoryview, limits: Limits) -> PngSource:
    """Check a PNG's structure and size.

    Raises
    ------
    DamagedImage
        As `parse_png` does, and if a palette is missing.
    RefusedImage
        If it is animated, or of an unknown kind.
    LimitExceeded
        If it has more pixels than allowed.
    """
    structure = parse_png(data, limits)
    frames = structure.first(b"acTL")
    count = int.from_bytes(frames.body[:4], "big") if frames else 1
    if count > 1 or structure.first(b"fdAT") is not None:
        raise several_pictures(f"the PNG is animated, with {count} frames")
    if structure.header.colour_type == PALETTE and structure.palette is None:
        raise beyond_repair("the PNG has no palette")
    return PngSource(structure)


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode 8- or 16-bit pixels, with the metadata of their source."""
    from imgbatch.images.png_encode import compress_pixels

    height, width, channels = pixels.shape
    header = Header(width, height, 8 * pixels.itemsize, _COLOUR_TYPES[channels], False)
    before, after, notes = _metadata(source, encoding)
    parts: list[bytes | memoryview] = [SIGNATURE, *chunk_parts(b"IHDR", header_body(header))]
    for kind, body in before:
        parts += chunk_parts(kind, body)
    parts += chunk_parts(b"IDAT", compress_pixels(pixels, encoding.png_level, buffers))
    for kind, body in after:
        parts += chunk_parts(kind, body)
    parts += chunk_parts(b"IEND", b"")
    return Encoded(parts, tuple(notes))


def _metadata(
    source: Source, encoding: Encoding
) -> tuple[list[NamedChunk], list[NamedChunk], list[Note]]:
    if isinstance(source, PngSource):
        if encoding.strip_metadata:
            return stripped_chunks(source.structure), [], []
        return kept_chunks(source.structure)
    metadata = source.metadata()
    if encoding.strip_metadata:
        metadata = metadata.stripped()
    notes = [Note.METADATA_DROPPED] if metadata.has_more else []
    return list(carried_chunks(metadata)), [], notes
