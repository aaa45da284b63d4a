"""TIFF: one picture of 8 or 16 bits, decoded as it is stored, not turned upright."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from imgbatch.images.failures import damaged as damaged_image
from imgbatch.images.failures import (
    decoder_failure,
    several_pictures,
    truncated,
    unsupported_format,
)
from imgbatch.images.notes import Note
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
    from collections.abc import Mapping

    from imgbatch.images.buffers import Buffers
    from imgbatch.images.limits import Limits
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
        if layout.is_planar:
            pixels = self._decode_planes(is_strict=is_strict)
        elif layout.bits == 16:
            pixels = self._decode_deep()
        else:
            icc = self.directory.data(tags.ICC)
            pixels = _decode_pillow(self._file_for_decoder({}), self.shape, icc, is_strict)
        if pixels.shape != self.shape.array_shape:
            raise damaged_image("the TIFF's pixels are not as its directory says")
        facts = {
            Note.EMBEDDED_PICTURES_DROPPED: self.has_previews,
            Note.PALETTE_EXPANDED: layout.photometric == tags.PALETTE,
            Note.DEPTH_EXPANDED: layout.bits < 8,
            Note.CMYK_CONVERTED: self.is_ink,
            Note.SALVAGED: self.is_short,
        }
        return Picture(pixels, tuple(note for note, holds in facts.items() if holds))

    def _decode_deep(self) -> Pixels:
        """Decode 16 bits, which Pillow would make 8."""
        import cv2

        pixels = _decode_opencv(self._file_for_decoder({}), self.shape)
        if self.shape.channels == 3:
            return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]
        if self.shape.channels == 4:
            return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)  # type: ignore[return-value]
        return pixels

    def _decode_planes(self, *, is_strict: bool) -> Pixels:
        """Decode each plane as the grey picture that it is: OpenCV mixes planes of 16 bits up."""
        order, shape = self.directory.order, replace(self.shape, channels=1)
        grey: dict[int, Entry | None] = {
            tags.EXTRA_SAMPLES: None,
            tags.BITS: shorts(order, self.layout.bits),
            tags.PHOTOMETRIC: shorts(order, tags.BLACK_IS_ZERO),
            tags.SAMPLES: shorts(order, 1),
            tags.PLANAR: shorts(order, 1),
        }
        is_tiled = tags.TILE_OFFSETS in self.directory.entries
        starts_tag, sizes_tag = tags.TILE_BLOCKS if is_tiled else tags.STRIP_BLOCKS
        count = len(self.layout.blocks) // self.layout.samples
        planes = []
        for first in range(0, len(self.layout.blocks), count):
            starts, sizes = zip(*self.layout.blocks[first : first + count], strict=True)
            blocks = {starts_tag: longs(order, *starts), sizes_tag: longs(order, *sizes)}
            file = self._file_for_decoder(grey | blocks)
            if self.layout.bits == 16:
                planes.append(_decode_opencv(file, shape))
            else:
                planes.append(_decode_pillow(file, shape, None, is_strict))
        return np.concatenate(planes, axis=2)  # type: ignore[return-value]

    def _file_for_decoder(self, changed: Mapping[int, Entry | None]) -> bytearray:
        """Return the file with a directory of nothing but what a decoder needs, as was checked.

        What is missing behind the end of a file that breaks off is black.
        """
        order, layout = self.directory.order, self.layout
        entries: dict[int, Entry | None] = {
            tag: entry if tag in tags.SEVERAL else entry.first
            for tag, entry in self.directory.entries.items()
            if tag in tags.DECODED
        }
        entries[tags.BITS] = shorts(order, *(layout.bits,) * layout.samples)
        if layout.compression not in tags.PREDICTED_COMPRESSIONS:
            entries.pop(tags.PREDICTOR, None)
        start = max(len(self.data), min(layout.end, len(self.data) + self.shape.size_bytes))
        start += start % 2
        file = bytearray(start)
        file[: len(self.data)] = self.data
        file[:8] = header(order, start)
        needed = {tag: entry for tag, entry in {**entries, **changed}.items() if entry is not None}
        file += serialise(Directory(order, needed), start)
        return file


def _decode_opencv(file: bytearray, shape: Shape) -> Pixels:
    """Decode grey, or colours in OpenCV's order."""
    import cv2

    try:
        pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise decoder_failure("the TIFF can't be decoded", shape) from error
    if pixels is None:
        raise decoder_failure("the TIFF can't be decoded", shape)
    return pixels.reshape(*pixels.shape[:2], -1)  # type: ignore[return-value]


def _decode_pillow(file: bytearray, shape: Shape, icc: bytes | None, is_strict: bool) -> Pixels:
    from imgbatch.images.cmyk import cmyk_to_srgb
    from imgbatch.images.pillow import as_array, load, opened

    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    with opened(memoryview(file), "TIFF", is_strict=is_strict) as image:
        load(image, shape, is_strict=is_strict)
        if image.mode == "CMYK":
            return cmyk_to_srgb(image, icc)
        return as_array(image, modes[shape.channels])


def read(data: memoryview, limits: Limits) -> TiffSource:
    """Check a TIFF's structure and size.

    Raises
    ------
    DamagedImage
        If a directory is not complete, or as `layout_of` does.
    RefusedImage
        If it has several pages, or samples of an unusual kind.
    SkippedFile
        If it is a camera's raw file, whose TIFF structure holds only a preview.
    LimitExceeded
        If it has more pixels than allowed.
    """
    reader = DirectoryReader(data)
    directory = reader.first()
    if directory.entries.keys() & tags.RAW_MARKS or directory.number(tags.SUBFILE_KIND) & 1:
        raise unsupported_format("a camera's raw file")
    layout = layout_of(directory, limits)
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
