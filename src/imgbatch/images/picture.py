"""The values that pass between readers, the pipeline and writers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from imgbatch.images.notes import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgbatch.images.buffers import Buffers
    from imgbatch.recipe import DamagedPolicy

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""``(height, width, channels)``, C-contiguous: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA."""


class FileFormat(StrEnum):
    """A format that is read and written."""

    JPEG = "jpeg"
    PNG = "png"
    TIFF = "tiff"
    WEBP = "webp"
    BMP = "bmp"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a header says that its decoder will deliver.

    Parameters
    ----------
    width_pixels, height_pixels
        Of the stored pixels, before any orientation tag.
    channels
        1 grey, 2 grey+alpha, 3 RGB, 4 RGBA.
    bits_per_sample
        8 or 16.
    """

    width_pixels: int
    height_pixels: int
    channels: int
    bits_per_sample: int = 8

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """The shape of the array of these pixels."""
        return self.height_pixels, self.width_pixels, self.channels

    @property
    def size_bytes(self) -> int:
        """What the pixels take in memory."""
        return self.width_pixels * self.height_pixels * self.channels * self.bits_per_sample // 8


@dataclass(frozen=True, slots=True)
class Density:
    """Resolution in dots per centimetre or inch, or the shape of a pixel without a unit."""

    x: float
    y: float
    unit: str

    def in_unit(self, unit: str) -> Density:
        """Return the same resolution in ``"inch"`` or ``"centimetre"``."""
        if self.unit in ("aspect", unit):
            return self
        factor = 2.54 if unit == "inch" else 1 / 2.54
        return Density(self.x * factor, self.y * factor, unit)


@dataclass(frozen=True, slots=True)
class Portable:
    """The metadata that every format has a place for.

    Parameters
    ----------
    exif
        The TIFF structure that EXIF is, from its byte-order mark.
    xmp
        The XMP packet, UTF-8.
    icc
        The ICC profile, inflated.
    density
        The resolution.
    has_more
        Whether the source has further metadata, which has no place in other formats.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    density: Density | None = None
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Decoded pixels, and what was noted on the way."""

    pixels: Pixels
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded file in parts, to be joined once, and what was noted on the way."""

    parts: Sequence[bytes | memoryview]
    notes: tuple[Note, ...] = ()


class Source(Protocol):
    """A file whose structure has been checked, and that can be decoded."""

    @property
    def file_format(self) -> FileFormat:
        """What the content says it is."""
        ...

    @property
    def shape(self) -> Shape:
        """What the decoder will deliver."""
        ...

    def portable(self) -> Portable:
        """Return the metadata that other formats can hold."""
        ...

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode the pixels, into the kept buffers where the codec can.

        Raises
        ------
        DamagedImage
            If the pixels are not all there and `damaged` is strict, or none could be decoded.
        """
        ...
