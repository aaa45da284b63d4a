"""TIFF: its pages, of 8 or 16 bits, decoded as they are stored, not turned upright."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import ClassVar

import numpy as np

from imgbatch.images import failures
from imgbatch.images.animation import Frame
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

MOST_PAGES = 25_000
"""Reading the directories of as many takes 3 s; by default no more fit `--max-pixels`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a TIFF file, or its only picture, whose structure has been checked."""

    data: memoryview
    directory: Directory
    layout: Layout

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

    @property
    def is_short(self) -> bool:
        """Whether the file ends before its last strip or tile does."""
        return self.layout.end > len(self.data)

    def decode(self, *, is_strict: bool) -> Picture:
        """Decode to 8 or 16 bits, with as many channels as `shape` says."""
        layout = self.layout
        shape = replace(self.shape, channels=1) if layout.is_planar else self.shape
        planes = [self._decode_plane(plane, shape, is_strict=is_strict) for plane in self._planes()]
        pixels = np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]
        if pixels.shape != self.shape.array_shape:
            raise failures.damaged("the TIFF's pixels are not as its directory says")
        facts = {
            Note.PALETTE_EXPANDED: layout.photometric == tags.PALETTE,
            Note.DEPTH_EXPANDED: layout.bits < 8,
            Note.CMYK_CONVERTED: self.is_ink,
            Note.SALVAGED: self.is_short,
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
        """Return a file of nothing but what a decoder needs, as was checked.

        What is missing of a file that breaks off is black.
        """
        order = self.directory.order
        passed = {
            tag: entry if tag in tags.SEVERAL else entry.first
            for tag, entry in self.directory.entries.items()
            if tag in tags.PASSED and entry.kind < container.LONG8
        }
        parts: list[bytes | memoryview] = [self.data[8:]]
        if plane.compression != tags.OLD_JPEG:  # which has further offsets into the file
            found = [(self.data[start : start + size], size) for start, size in plane.blocks]
            parts = [part for block, size in found for part in (block, bytes(size - len(block)))]
            starts = accumulate((size for _, size in found), initial=8)
            blocks = tuple((start, size) for start, (_, size) in zip(starts, found, strict=False))
            plane = replace(plane, blocks=blocks)
        end = 8 + sum(map(len, parts))
        directory = Directory(order, passed | plane.fields(order))
        parts += [bytes(end % 2), container.serialise(directory, end + end % 2)]
        return b"".join((container.header(order, end + end % 2), *parts))


@dataclass(frozen=True, slots=True)
class TiffSource:
    """A TIFF file whose structure has been checked.

    Parameters
    ----------
    pages
        All but previews, which are reduced.
    shape
        That of the first page, with those of the others, which may differ.
    has_previews
        Whether there are previews beside the pages.
    """

    pages: tuple[Page, ...]
    shape: Shape
    has_previews: bool
    file_format: ClassVar[str] = "tiff"

    def metadata(self) -> Metadata:
        """Return EXIF, XMP, ICC and resolution from the first page's directory."""
        page = self.pages[0]
        return metadata_of(page.directory, is_ink=page.is_ink)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode the first page."""
        return next(self._pictures(self.pages[:1], damaged))

    def frames(self, buffers: Buffers, damaged: DamagedPolicy) -> Iterator[Frame]:  # noqa: ARG002
        """Decode one page after the other."""
        for picture in self._pictures(self.pages, damaged):
            yield Frame(picture.pixels, Fraction(0), picture.notes)

    def _pictures(self, pages: tuple[Page, ...], damaged: DamagedPolicy) -> Iterator[Picture]:
        is_strict = damaged is DamagedPolicy.STRICT
        if is_strict and any(page.is_short for page in pages):
            raise failures.truncated("the TIFF is shorter than its pixels")
        previews = notes_where({Note.EMBEDDED_PICTURES_DROPPED: self.has_previews})
        for page in pages:
            picture = page.decode(is_strict=is_strict)
            yield replace(picture, notes=(*previews, *picture.notes))


def read(data: memoryview) -> TiffSource:
    """Check a TIFF's structure.

    Raises
    ------
    DamagedImage
        If a directory is not complete, they follow each other in a circle, or as `layout_of` does.
    RefusedImage
        If there are too many pages, or samples of an unusual kind.
    SkippedFile
        If it is a camera's raw file, whose TIFF structure holds only a preview.
    """
    pages: list[Page] = []
    has_previews = False
    for number, directory in enumerate(DirectoryReader(data).chain()):
        is_preview = bool(directory.number(tags.SUBFILE_KIND) & 1)
        is_preview |= number > 0 and directory.number(tags.OLD_SUBFILE_KIND) == 2
        if number == 0 and (is_preview or directory.entries.keys() & tags.RAW_MARKS):
            raise failures.unsupported_format("a camera's raw file")
        if number == MOST_PAGES:
            raise failures.unsupported(f"the TIFF has more than {MOST_PAGES} pages; split it first")
        if not is_preview:
            pages.append(_page(data, directory))
        has_previews |= is_preview or bool(directory.entries.keys() & tags.EMBEDDED_PICTURES)
    if len(pages) > 1 and any(page.layout.compression == tags.OLD_JPEG for page in pages):
        raise failures.unsupported(
            "a page of the TIFF is a JPEG of the old style; convert it first"
        )
    first, *others = (page.shape for page in pages)
    shape = replace(first, frames=len(pages), others=tuple(others))
    return TiffSource(tuple(pages), shape, has_previews)


def _page(data: memoryview, directory: Directory) -> Page:
    """Return a page of which no bytes are read so often that they would take more than pixels."""
    page = Page(data, directory, layout_of(directory))
    stored_bytes = sum(size for _, size in page.layout.blocks)
    if stored_bytes > len(data) + page.shape.size_bytes:
        raise failures.beyond_repair("the TIFF's strips or tiles lie over each other")
    return page
