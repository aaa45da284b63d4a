"""WebP: decoding, of a file with nothing in it but the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imgbatch.images import failures
from imgbatch.images.buffers import Buffers
from imgbatch.images.metadata import Metadata
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.opencv import decode_by_opencv
from imgbatch.images.picture import Picture, Shape
from imgbatch.images.webp.container import PICTURE_CHUNKS, WebpStructure, join_webp
from imgbatch.recipe import DamagedPolicy

_METADATA = (b"EXIF", b"XMP ", b"ICCP")
_LOSSLESS_MEMORY_PER_BYTE = 14
"""Of RGB; the lossless encoder takes 42 bytes a pixel."""


@dataclass(frozen=True, slots=True)
class WebpSource:
    """A WebP file whose structure has been checked."""

    data: memoryview
    structure: WebpStructure
    file_format: ClassVar[str] = "webp"

    @property
    def shape(self) -> Shape:
        """RGB or RGBA, 8 bits."""
        structure = self.structure
        return Shape(
            structure.width_pixels,
            structure.height_pixels,
            4 if structure.has_alpha else 3,
            memory_per_byte=_LOSSLESS_MEMORY_PER_BYTE if structure.is_lossless else 6,
        )

    @property
    def lossy(self) -> memoryview | None:
        """What is coded with loss, by whose quality the output is written; None if nothing is."""
        return self.structure.first(b"VP8 ")

    def metadata(self) -> Metadata:
        """Return EXIF, XMP and ICC, each from the first chunk of its name."""
        found = [self.structure.first(name) for name in _METADATA]
        exif, xmp, icc = (None if body is None else bytes(body) for body in found)
        beside = [name for name, _ in self.structure.chunks if name not in PICTURE_CHUNKS]
        return Metadata(
            exif=None if exif is None else exif.removeprefix(b"Exif\0\0"),
            xmp=xmp,
            icc=icc,
            has_more=len(beside) > len(set(beside) & set(_METADATA)),
        )

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode to RGB or RGBA."""
        if damaged is DamagedPolicy.STRICT and not self.structure.is_complete:
            raise failures.truncated("the WebP is shorter than its header says")
        # The decoder is shown the picture alone: nothing else of the file concerns it.
        pixels = decode_by_opencv(join_webp(self.structure.picture), "WebP", self.shape)
        if pixels.shape != self.shape.array_shape:
            raise failures.damaged("the WebP's pixels are not as its headers say")
        return Picture(pixels, self.notes())

    def notes(self) -> tuple[Note, ...]:
        """Return what decoding drops."""
        end = 8 + int.from_bytes(self.data[4:8], "little")
        return notes_where({Note.TRAILING_DATA_DROPPED: len(self.data) > end + end % 2})
