"""Adjusted pixels for a screen: the arithmetic of the pipeline, then what a browser can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from imgbatch_kernels import adjust

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgbatch.adjustment import Adjustment
    from imgbatch.images.picture import Pixels

    Screen = npt.NDArray[np.uint8]

HISTOGRAM_BINS = 64
JPEG_QUALITY = 90
CHECKER_PIXELS = 12
CHECKER_LEVELS = (204, 242)


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    def within(self, width_pixels: int, height_pixels: int) -> Box:
        """Return the part of the box that lies on an image of this size, one pixel at least."""
        x = min(max(self.x, 0), width_pixels - 1)
        y = min(max(self.y, 0), height_pixels - 1)
        right = min(max(self.x + self.width, x + 1), width_pixels)
        bottom = min(max(self.y + self.height, y + 1), height_pixels)
        return Box(x, y, right - x, bottom - y)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the luma of a picture is spread.

    Parameters
    ----------
    bins
        64 shares of 10,000 pixels, from black to white.
    black, white
        Shares, 0..1, of the pixels that are wholly black or white and so show no detail.
    """

    bins: tuple[int, ...]
    black: float
    white: float


def adjusted(pixels: Pixels, adjustment: Adjustment) -> Pixels:
    """Return the pixels as the pipeline would adjust them."""
    if adjustment.is_neutral:
        return pixels
    return adjust(  # type: ignore[no-any-return]
        pixels,
        brightness=adjustment.brightness,
        contrast=adjustment.contrast,
        sharpness=adjustment.sharpness,
    )


def adjusted_part(pixels: Pixels, box: Box, adjustment: Adjustment) -> Pixels:
    """Return a part of the adjusted image without adjusting the rest.

    Sharpening reads one neighbour on each side, so one more pixel is taken along there and cut
    off again; at the image's own border the kernel reflects as it does on the whole image.
    """
    height, width = pixels.shape[:2]
    left, top = max(box.x - 1, 0), max(box.y - 1, 0)
    right, bottom = min(box.x + box.width + 1, width), min(box.y + box.height + 1, height)
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    done = adjusted(part, adjustment)
    x, y = box.x - left, box.y - top
    return done[y : y + box.height, x : x + box.width]


def for_screen(pixels: Pixels) -> Screen:
    """Return 8-bit grey or RGB: 16 bits rounded to 8, transparency over a checkerboard."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.shape[2] in (2, 4):
        return _over_checkerboard(pixels)
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def _over_checkerboard(pixels: Pixels) -> Screen:
    height, width = pixels.shape[:2]
    rows = np.arange(height)[:, None] // CHECKER_PIXELS
    columns = np.arange(width) // CHECKER_PIXELS
    board = np.where((rows + columns) % 2, *CHECKER_LEVELS).astype(np.uint16)[..., None]
    alpha = pixels[..., -1:].astype(np.uint16)
    blended = pixels[..., :-1] * alpha + board * (255 - alpha)
    return ((blended + 127) // 255).astype(np.uint8)


def histogram_of(screen: Screen) -> Histogram:
    """Count the luma of an 8-bit grey or RGB picture."""
    import cv2

    luma = screen if screen.shape[2] == 1 else cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY)
    counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel()
    shares = counts / counts.sum()
    bins = shares.reshape(HISTOGRAM_BINS, -1).sum(axis=1) * 10_000
    return Histogram(tuple(int(share) for share in bins), float(shares[0]), float(shares[255]))


def to_jpeg(screen: Screen, icc: bytes | None = None) -> bytes:
    """Encode for the browser, with the source's colour profile so that it shows the same colours."""
    import simplejpeg

    colourspace, subsampling = ("GRAY", "Gray") if screen.shape[2] == 1 else ("RGB", "444")
    encoded: bytes = simplejpeg.encode_jpeg(screen, JPEG_QUALITY, colourspace, subsampling)
    return encoded if icc is None else _with_profile(encoded, icc)


def _with_profile(jpeg: bytes, icc: bytes) -> bytes:
    """Insert the APP2 segments of ICC.1, annex B.4, after the start-of-image marker."""
    largest = 65_519  # 65,535 less the length field, the identifier and the two counters
    pieces = [icc[start : start + largest] for start in range(0, len(icc), largest)]
    if len(pieces) > 255:
        return jpeg
    segments = (
        b"\xff\xe2"
        + (len(piece) + 16).to_bytes(2, "big")
        + b"ICC_PROFILE\0"
        + bytes((number, len(pieces)))
        + piece
        for number, piece in enumerate(pieces, 1)
    )
    return b"".join((jpeg[:2], *segments, jpeg[2:]))
