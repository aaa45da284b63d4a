"""The values that pass between readers, the pipeline and writers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from imgbatch.images.limits import MEMORY_PER_DECODED_BYTE
from imgbatch.images.notes import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgbatch.images.buffers import Buffers
    from imgbatch.images.metadata import Metadata
    from imgbatch.recipe import DamagedPolicy

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""``(height, width, channels)``, C-contiguous: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA."""


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
    memory_per_byte
        How much memory the codec takes for each decoded byte, with all buffers.
    frames
        How many pictures there are, one after the other: of this size, but for the others.
    others
        The shapes of all but the first, if they may differ: those of pages.
    """

    width_pixels: int
    height_pixels: int
    channels: int
    bits_per_sample: int = 8
    memory_per_byte: int = field(default=MEMORY_PER_DECODED_BYTE, compare=False)
    frames: int = 1
    others: tuple[Shape, ...] = field(default=(), compare=False)

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """The shape of the array of these pixels."""
        return self.height_pixels, self.width_pixels, self.channels

    @property
    def size_bytes(self) -> int:
        """What the pixels of one picture take in memory."""
        return self.width_pixels * self.height_pixels * self.channels * self.bits_per_sample // 8

    @property
    def memory_bytes(self) -> int:
        """The most memory that decoding, adjusting and encoding them takes.

        Frames are decoded one after the other; of the earlier ones only what they became is kept.
        """
        if self.others:
            sizes_bytes = [shape.size_bytes for shape in (self, *self.others)]
            return max(sizes_bytes) * self.memory_per_byte + 2 * sum(sizes_bytes)
        return self.size_bytes * (self.memory_per_byte + self.frames - 1)


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
    def file_format(self) -> str:
        """What the content says it is: a key of `imgbatch.images.formats.FORMATS`."""
        ...

    @property
    def shape(self) -> Shape:
        """What the decoder will deliver."""
        ...

    def metadata(self) -> Metadata:
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
