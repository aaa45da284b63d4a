"""TIFF: one picture of 8 or 16 bits, decoded as it is stored, not turned upright."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from imgbatch.images import failures
from imgbatch.images.buffers import Buffers
from imgbatch.images.metadata import Metadata
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.opencv import decode_by_opencv
from imgbatch.images.picture import Picture, Pixels, Shape
from imgbatch.images.tiff import container, tags
from imgbatch.images.tiff.container import Directory, DirectoryReader
from imgbatch.images.tiff.layout import Layout, layout_of
from imgbatch.images.tiff.metadata import metadata_of
from imgbatch.recipe import DamagedPolicy

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
            colours + layout.has_alpha,
            16 if layout.bits == 16 else 8,
        )

    @property
    def is_ink(self) -> bool:
        """Whether the samples are amounts of ink."""
        return self.layout.photometric == tags.INK

    def metadata(self) -> Metadata:
        """Return EXIF, XMP, ICC and resolution from the directory."""
        return metadata_of(self.directory, is_ink=self.is_ink)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode to 8 or 16 bits, with as many channels as `shape` says."""
        layout, is_short = self.layout, self.layout.end > len(self.data)
        is_strict = damaged is DamagedPolicy.STRICT
        if is_strict and is_short:
            raise failures.truncated("the TIFF is shorter than its pixels")
        shape = replace(self.shape, channels=1) if layout.is_planar else self.shape
        planes = [self._decode_plane(plane, shape, is_strict=is_strict) for plane in self._planes()]
        pixels = np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]
        if pixels.shape != self.shape.array_shape:
            raise failures.damaged("the TIFF's pixels are not as its directory says")
        facts = {
            Note.EMBEDDED_PICTURES_DROPPED: self.has_previews,
            Note.PALETTE_EXPANDED: layout.photometric == tags.PALETTE,
            Note.DEPTH_EXPANDED: layout.bits < 8,
            Note.CMYK_CONVERTED: self.is_ink,
            Note.SALVAGED: is_short,
        }
        return Picture(pixels, notes_where(facts))  # type: ignore[arg-type]

    def _planes(self) -> Iterator[Layout]:
        """Yield each plane as the grey picture that it is: OpenCV mixes planes of 16 bits up."""
        layout = self.layout
        if not layout.is_planar:
            yield layout
            return
        grey = replace(layout, samples=1, photometric=tags.BLACK_IS_ZERO, extra=())
        count = len(layout.blocks) // layout.samples
        for first in range(0, len(layout.blocks), count):
            yield replace(grey, blocks=layout.blocks[first : first + count])

    def _decode_plane(self, plane: Layout, shape: Shape, *, is_strict: bool) -> Pixels:
        """Decode 16 bits by OpenCV, since Pillow would make them 8, and all others by Pillow."""
        file = self._file_for_decoder(plane)
        if shape.bits_per_sample == 16:
            return decode_by_opencv(file, "TIFF", shape)
        from imgbatch.images.pillow import decode_by_pillow

        icc = self.directory.data(tags.ICC)
        return decode_by_pillow(file, "TIFF", shape, is_strict=is_strict, icc=icc)

    def _file_for_decoder(self, plane: Layout) -> bytes:
        """Return the file with a directory of nothing but what a decoder needs, as was checked.

        What is missing of a file that breaks off is black.
        """
        order, size = self.directory.order, len(self.data)
        passed = {
            tag: entry if tag in tags.SEVERAL else entry.first
            for tag, entry in self.directory.entries.items()
            if tag in tags.PASSED and entry.kind < container.LONG8
        }
        start = max(size, min(self.layout.end, size + self.shape.size_bytes))
        start += start % 2
        directory = container.serialise(Directory(order, passed | plane.fields(order)), start)
        return b"".join(
            (container.header(order, start), self.data[8:], bytes(start - size), directory)
        )


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
        raise failures.unsupported_format("a camera's raw file")
    layout = layout_of(directory)
    return TiffSource(data, directory, layout, _has_previews(reader, directory))


def _has_previews(reader: DirectoryReader, directory: Directory) -> bool:
    """Refuse further pages; return whether there are previews."""
    has_previews = bool(directory.entries.keys() & tags.EMBEDDED_PICTURES)
    seen: set[int] = set()
    while directory.following and directory.following not in seen:
        if len(seen) == _MOST_PREVIEWS:
            raise failures.several_pictures(f"the TIFF has more than {_MOST_PREVIEWS} previews")
        seen.add(directory.following)
        directory = reader.read(directory.following)
        if not directory.number(tags.SUBFILE_KIND) & 1:
            raise failures.several_pictures("the TIFF has several pages")
        has_previews = True
    return has_previews
