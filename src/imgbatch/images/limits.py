"""How large an image may be, checked before a pixel of it is allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imgbatch.errors import Code, LimitExceeded

MEGA = 1_000_000
MEBI = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest image that is processed.

    Parameters
    ----------
    max_pixels
        Width times height; ``--max-pixels``. 250 million pixels of RGB are 750 MB decoded.
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

    def check_bytes(self, size_bytes: int) -> None:
        """Raise `LimitExceeded` if a file is larger than allowed."""
        if size_bytes > self.max_bytes:
            raise LimitExceeded(
                Code.TOO_MANY_BYTES,
                f"the file has {size_bytes} bytes, more than --max-bytes {self.max_bytes} allows; "
                "raise it to process this file",
            )

    def check_pixels(self, width_pixels: int, height_pixels: int) -> None:
        """Raise `LimitExceeded` if an image has more pixels than allowed."""
        if width_pixels * height_pixels > self.max_pixels:
            raise LimitExceeded(
                Code.TOO_MANY_PIXELS,
                f"the image has {width_pixels} x {height_pixels} = "
                f"{width_pixels * height_pixels / MEGA:.6g} million pixels, more than "
                f"--max-pixels {self.max_pixels} allows; raise it to process this file",
            )
