"""JPEG: decoding into kept buffers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from imgbatch.images import failures
from imgbatch.images.buffers import Buffers
from imgbatch.images.jpeg import container
from imgbatch.images.jpeg.container import JpegStructure, Kind
from imgbatch.images.jpeg.metadata import metadata_of
from imgbatch.images.metadata import Metadata
from imgbatch.images.notes import Note
from imgbatch.images.picture import Picture, Pixels, Shape
from imgbatch.recipe import DamagedPolicy

_ADOBE_TRANSFORM = 6
"""Which byte behind Adobe's identifier says how colours are stored; 0 if as they are."""

_BYTES_BEFORE_END = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


@dataclass(frozen=True, slots=True)
class JpegSource:
    """A JPEG file whose structure has been checked."""

    data: memoryview
    structure: JpegStructure
    file_format: ClassVar[str] = "jpeg"

    @property
    def shape(self) -> Shape:
        """Grey or RGB, 8 bits; ink is delivered as RGB."""
        frame = self.structure.frame
        return Shape(
            frame.width_pixels, frame.height_pixels, 1 if len(frame.components) == 1 else 3
        )

    @property
    def is_cmyk(self) -> bool:
        """Whether the four components are amounts of ink."""
        return len(self.structure.frame.components) == 4

    @property
    def is_rgb(self) -> bool:
        """Whether the components are red, green and blue themselves, as libjpeg guesses it."""
        components, contents = self.structure.frame.components, self.structure.contents
        if len(components) != 3 or Kind.JFIF in contents:
            return False
        if len(contents.get(Kind.ADOBE, b"")) > _ADOBE_TRANSFORM:
            return contents[Kind.ADOBE][_ADOBE_TRANSFORM] == 0
        return bytes(component.identifier for component in components) == b"RGB"

    def metadata(self) -> Metadata:
        """Return EXIF, XMP, ICC and resolution from the segments; no profile of inks."""
        metadata = metadata_of(self.structure)
        return replace(metadata, icc=None) if self.is_cmyk else metadata

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode to grey or RGB."""
        is_strict = damaged is DamagedPolicy.STRICT
        notes = []
        if self.structure.end is None:
            if is_strict:
                raise failures.truncated("the JPEG has no end marker")
            notes.append(Note.SALVAGED)
        elif self.structure.end < len(self.data):
            notes.append(Note.TRAILING_DATA_DROPPED)
        if self.is_cmyk or container.subsampling_of(self.structure.frame.components) is None:
            return self._decode_pillow(notes, is_strict=is_strict)
        try:
            return Picture(self._decode_turbo(buffers, is_strict=is_strict), tuple(notes))
        except ValueError as error:
            failures.probe_memory(self.shape)
            message = str(error).removeprefix("tjDecompressHeader3(): ")
            if not is_strict:
                raise failures.beyond_repair(f"the JPEG can't be decoded ({message})") from error
            if "remature end" in message:
                raise failures.truncated(f"the JPEG breaks off ({message})") from error
            if not self._ends_in_padding(message):
                reason = f"the JPEG can't be decoded without loss ({message})"
                raise failures.damaged(reason) from error
        pixels = self._decode_turbo(buffers, is_strict=False)
        return Picture(pixels, (*notes, Note.PADDING_DROPPED))

    def _decode_turbo(self, buffers: Buffers, *, is_strict: bool) -> Pixels:
        """Decode into a kept buffer; ValueError if that fails.

        simplejpeg loses 4 KB for each call that it refuses because of the colour space or the
        size of the buffer, so both are made sure of before.
        """
        import simplejpeg

        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(self.data, strict=is_strict)
        except KeyError as error:
            raise ValueError("its colours or their sampling are of an unknown kind") from error
        if (height, width) != self.shape.array_shape[:2]:
            raise ValueError("its size is not that of its frame header")
        pixels = buffers.get("decoded", self.shape)
        simplejpeg.decode_jpeg(
            self.data,
            colorspace="GRAY" if self.shape.channels == 1 else "RGB",
            buffer=pixels,
            strict=is_strict,
        )
        return pixels

    def _decode_pillow(self, notes: list[Note], *, is_strict: bool) -> Picture:
        """Decode ink, and samplings that have no name; of metadata, Pillow need see nothing."""
        from imgbatch.images.pillow import decode_by_pillow

        parts, position = [], 0
        for segment in self.structure.segments:
            if segment.kind not in (Kind.JFIF, Kind.ADOBE):
                parts.append(self.data[position : segment.start])
                position = segment.stop
        file = b"".join((*parts, self.data[position:]))
        if not is_strict:
            file += b"\xff\xd9"  # the decoder waits for an end marker
        icc = metadata_of(self.structure).icc
        pixels = decode_by_pillow(file, "JPEG", self.shape, is_strict=is_strict, icc=icc)
        if self.is_cmyk:
            notes.append(Note.CMYK_CONVERTED)
        return Picture(pixels, tuple(notes))

    def _ends_in_padding(self, message: str) -> bool:
        """Whether a decoder's only complaint are zeros behind the last block, as cameras write.

        Other bytes there mean that the data in front of them were not read as they were written.
        """
        found, end = _BYTES_BEFORE_END.search(message), self.structure.end
        if found is None or end is None:
            return False
        return not any(self.data[max(0, end - 2 - int(found[1])) : end - 2])


def read(data: memoryview) -> JpegSource:
    """Check a JPEG's structure.

    Raises
    ------
    DamagedImage, RefusedImage
        As `parse_jpeg` does.
    """
    return JpegSource(data, container.parse_jpeg(data))
