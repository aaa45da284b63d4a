"""TIFF: one picture of 8 or 16 bits, decoded as it is stored, not turned upright."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from imgbatch.images.failures import damaged as damaged_image
from imgbatch.images.failures import (
    several_pictures,
    truncated,
    unsupported_format,
)
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.opencv import decode_by_opencv
from imgbatch.images.picture import Picture, Pixels, Shape
from imgbatch.images.tiff import tags
from imgbatch.images.tiff.container import (
    Directory,
    DirectoryReader,
    Entry,
    header,
    longs,
    serialise,
    shorts,
)
from imgbatch.images.tiff.layout import Layout, layout_of
from imgbatch.images.tiff.metadata import metadata_of
from imgbatch.recipe import DamagedPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgbatch.images.buffers import Buffers
    from imgbatch.images.metadata import Metadata

_MOST_PREVIEWS = 32


@dataclass(frozen=True, slots=True)
class TiffSource:
    """A TIFF file whose structure has been checked."""

    data: memoryview
    directory: Directory
    layout: Layout
    has_previews: bool
    file_format: ClassVar[str] = "tiff"

    @property
    def shape(self) -> Shape:
        """Palettes and ink are delivered as RGB, two levels as grey of 8 bits."""
        layout = self.layout
        colours = 1 if layout.photometric in (tags.WHITE_IS_ZERO, tags.BLACK_IS_ZERO) else 3
        return Shape(
            layout.width_pixels,
            layout.height_pixels,
            colours + bool(layout.alpha),
            16 if layout.bits == 16 else 8,
        )

    @property
    def is_ink(self) -> bool:
        """Whether the samples are amounts of ink."""
        return self.layout.photometric == tags.INK

    @property
    def is_short(self) -> bool:
        """Whether the file ends before its last strip or tile does."""
        return self.layout.end > len(self.data)

    def metadata(self) -> Metadata:
        """Return EXIF, XMP, ICC and resolution from the directory."""
        return metadata_of(self.directory, is_ink=self.is_ink)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode to 8 or 16 bits, with as many channels as `shape` says."""
        layout = self.layout
        is_strict = damaged is DamagedPolicy.STRICT
        if is_strict and self.is_short:
            raise truncated("the TIFF is shorter than its pixels")
        channels = 1 if layout.is_planar else self.shape.channels
        planes = [
            self._decode_file(file, replace(self.shape, channels=channels), is_strict=is_strict)
            for file in self._files_for_decoder()
        ]
        pixels = np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]
        if pixels.shape != self.shape.array_shape:
            raise damaged_image("the TIFF's pixels are not as its directory says")
        facts = {
            Note.EMBEDDED_PICTURES_DROPPED: self.has_previews,
            Note.PALETTE_EXPANDED: layout.photometric == tags.PALETTE,
            Note.DEPTH_EXPANDED: layout.bits < 8,
            Note.CMYK_CONVERTED: self.is_ink,
            Note.SALVAGED: self.is_short,
        }
        return Picture(pixels, notes_where(facts))  # type: ignore[arg-type]

    def _decode_file(self, file: bytes, shape: Shape, *, is_strict: bool) -> Pixels:
        """Decode 16 bits by OpenCV, since Pillow would make them 8, and all others by Pillow."""
        if shape.bits_per_sample == 16:
            return decode_by_opencv(file, "TIFF", shape)
        from imgbatch.images.pillow import decode_by_pillow

        icc = self.directory.data(tags.ICC)
        return decode_by_pillow(file, "TIFF", shape, is_strict=is_strict, icc=icc)

    def _files_for_decoder(self) -> Iterator[bytes]:
        """Yield the file with a directory of nothing but what a decoder needs, as was checked.

        If it is stored in planes, once for each of them, as the grey picture that it is: OpenCV
        mixes planes of 16 bits up. What is missing of a file that breaks off is black.
        """
        order, layout = self.directory.order, self.layout
        needed = {
            tag: entry if tag in tags.SEVERAL else entry.first
            for tag, entry in self.directory.entries.items()
            if tag in tags.DECODED
        }
        needed[tags.BITS] = shorts(order, *(layout.bits,) * layout.samples)
        if layout.compression not in tags.PREDICTED_COMPRESSIONS:
            needed.pop(tags.PREDICTOR, None)
        if not layout.is_planar:
            yield self._with_directory(needed)
            return
        needed.pop(tags.EXTRA_SAMPLES, None)
        needed[tags.BITS] = shorts(order, layout.bits)
        needed[tags.PHOTOMETRIC] = shorts(order, tags.BLACK_IS_ZERO)
        needed[tags.SAMPLES] = needed[tags.PLANAR] = shorts(order, 1)
        block_tags = tags.TILE_BLOCKS if tags.TILE_OFFSETS in needed else tags.STRIP_BLOCKS
        count = len(layout.blocks) // layout.samples
        for first in range(0, len(layout.blocks), count):
            fields = zip(*layout.blocks[first : first + count], strict=True)
            for tag, values in zip(block_tags, fields, strict=True):
                needed[tag] = longs(order, *values)
            yield self._with_directory(needed)

    def _with_directory(self, entries: Mapping[int, Entry]) -> bytes:
        order, size = self.directory.order, len(self.data)
        start = max(size, min(self.layout.end, size + self.shape.size_bytes))
        start += start % 2
        missing = bytes(start - size)
        directory = serialise(Directory(order, entries), start)
        return b"".join((header(order, start), self.data[8:], missing, directory))


def read(data: memoryview) -> TiffSource:
    """Check a TIFF's structure.

    Raises
    ------
    DamagedImage
        If a directory is not complete, or as `layout_of` does.
    RefusedImage
        If it has several pages, or samples of an unusual kind.
    SkippedFile
        If it is a camera's raw file, whose TIFF structure holds only a preview.
    """
    reader = DirectoryReader(data)
    directory = reader.first()
    if directory.entries.keys() & tags.RAW_MARKS or directory.number(tags.SUBFILE_KIND) & 1:
        raise unsupported_format("a camera's raw file")
    layout = layout_of(directory)
    return TiffSource(data, directory, layout, _has_previews(reader, directory))


def _has_previews(reader: DirectoryReader, directory: Directory) -> bool:
    """Refuse further pages; return whether there are previews."""
    has_previews = bool(directory.entries.keys() & tags.EMBEDDED_PICTURES)
    seen: set[int] = set()
    while directory.following and directory.following not in seen:
        if len(seen) == _MOST_PREVIEWS:
            raise several_pictures(f"the TIFF has more than {_MOST_PREVIEWS} previews")
        seen.add(directory.following)
        directory = reader.read(directory.following)
        if not directory.number(tags.SUBFILE_KIND) & 1:
            raise several_pictures("the TIFF has several pages")
        has_previews = True
    return has_previews
