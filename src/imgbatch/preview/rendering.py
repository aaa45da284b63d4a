"""Adjusted pixels, whole or in part, and how their brightness is spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgbatch_kernels import adjust

if TYPE_CHECKING:
    from imgbatch.adjustment import Adjustment
    from imgbatch.images.display import Screen
    from imgbatch.images.picture import Pixels

HISTOGRAM_BINS = 64


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
    return adjust(
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
    part = pixels[top:bottom, left:right].copy()
    x, y = box.x - left, box.y - top
    return adjusted(part, adjustment)[y : y + box.height, x : x + box.width]


def histogram_of(screen: Screen) -> Histogram:
    """Count the luma of an 8-bit grey or RGB picture."""
    import cv2

    luma = screen if screen.shape[2] == 1 else cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY)
    counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel()
    shares = counts / counts.sum()
    bins = shares.reshape(HISTOGRAM_BINS, -1).sum(axis=1) * 10_000
    return Histogram(tuple(int(share) for share in bins), float(shares[0]), float(shares[255]))
