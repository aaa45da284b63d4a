"""Adjusted pixels, whole or in part, and how their brightness is spread."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from imgbatch.images.display import for_screen, to_jpeg
from imgbatch.preview.process import Box, RenderedImage
from imgbatch_kernels import adjust

if TYPE_CHECKING:
    from imgbatch.adjustment import Adjustment
    from imgbatch.images.picture import Pixels

QUALITY = 90
HISTOGRAM_BINS = 64


def adjusted(pixels: Pixels, adjustment: Adjustment) -> Pixels:
    """Return the pixels as the pipeline would adjust them."""
    if adjustment.is_neutral:
        return pixels
    return adjust(pixels, **asdict(adjustment))


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


def rendered(pixels: Pixels, icc: bytes | None) -> RenderedImage:
    """Return pixels as a browser shows them, and how their luma is spread."""
    import cv2

    screen = for_screen(pixels)
    luma = screen if screen.shape[2] == 1 else cv2.cvtColor(screen, cv2.COLOR_RGB2GRAY)
    counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel()
    shares = counts / counts.sum()
    bins = (shares.reshape(HISTOGRAM_BINS, -1).sum(axis=1) * 10_000).astype(int).tolist()
    histogram = {"bins": bins, "black": float(shares[0]), "white": float(shares[255])}
    return RenderedImage(to_jpeg(screen, QUALITY, icc=icc), histogram)
