"""How large an image may be, checked before a pixel of it is allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgbatch.errors import Code, LimitExceeded

if TYPE_CHECKING:
    from imgbatch.images.picture import Shape

MEGA = 1_000_000
MEBI = 2**20

BYTES_PER_PIXEL = 3
"""Of 8-bit RGB, in which ``--max-pixels`` counts."""

MEMORY_PER_DECODED_BYTE = 6
"""The most that decoding, adjusting and encoding take for each byte of decoded pixels (measured:
JPEG 2 to 5.4, PNG 2.2 to 5.3, TIFF 2.4 to 4.8, lossy WebP 4.4, BMP 4)."""


FRAME_PIXELS = 10_000
"""As many a frame counts for at least: it costs time and memory beside its pixels."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest image that is processed.

    Parameters
    ----------
    max_pixels
        Width times height of all frames, of 8-bit RGB; ``--max-pixels``. Pixels of more bytes count
        for as many as the memory they take: 250 million are 750 MB decoded, and up to 4.5 GB with
        all buffers.
    max_bytes
        Size of the encoded file; ``--max-bytes``.
    """

    max_pixels: int = 250_000_000
    max_bytes: int = 256 * MEBI

    def tightened(self, max_pixels: int | None) -> Limits:
        """Return these limits with the smaller of two numbers of pixels."""
        if max_pixels is None or max_pixels >= self.max_pixels:
            return self
        return replace(self, max_pixels=max_pixels)

    @property
    def memory_bytes(self) -> int:
        """The most memory that decoding, adjusting and encoding an image may take."""
        return self.max_pixels * BYTES_PER_PIXEL * MEMORY_PER_DECODED_BYTE

    def check_bytes(self, size_bytes: int) -> None:
        """Raise `LimitExceeded` if a file is larger than allowed."""
        if size_bytes > self.max_bytes:
            raise LimitExceeded(
                Code.TOO_MANY_BYTES,
                f"the file has {size_bytes} bytes, more than --max-bytes {self.max_bytes} allows; "
                "raise it to process this file",
            )

    def check_shape(self, shape: Shape) -> None:
        """Raise `LimitExceeded` if an image has more pixels, or takes more memory, than allowed."""
        pixels = shape.width_pixels * shape.height_pixels
        size = f"{shape.width_pixels} x {shape.height_pixels}"
        if shape.frames > 1:
            shapes = (shape, *shape.others)
            counted = [max(it.width_pixels * it.height_pixels, FRAME_PIXELS) for it in shapes]
            pixels = sum(counted) if shape.others else shape.frames * counted[0]
            size = f"{shape.frames} frames of {size}"
        if pixels <= self.max_pixels and shape.memory_bytes <= self.memory_bytes:
            return
        raise LimitExceeded(
            Code.TOO_MANY_PIXELS,
            f"the image has {size} = {pixels / MEGA:.6g} million pixels of {shape.channels} x "
            f"{shape.bits_per_sample} bits and takes up to {shape.memory_bytes / MEGA:.6g} MB of "
            f"memory, more than --max-pixels {self.max_pixels} allows "
            f"({self.memory_bytes / MEGA:.6g} MB); raise it to process this file",
        )
