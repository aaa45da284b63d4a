"""PNG image data: row filters in numba, and a deflate library several times faster than zlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgbatch.images.picture import Shape
from imgbatch.recipe import PngLevel

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.picture import Pixels


def compress_pixels(pixels: Pixels, level: PngLevel, buffers: Buffers) -> bytes:
    """Return the body of the one IDAT chunk of these pixels."""
    from isal import isal_zlib

    from imgbatch.images import png_filters

    rows = _big_endian_rows(pixels)
    height, row_bytes = rows.shape
    filtered = buffers.get("filtered", Shape(1 + row_bytes, height, 1))[:, :, 0]
    step = pixels.shape[2] * pixels.itemsize
    png_filters.filter_rows(rows, step, png_filters.UP, filtered)
    return isal_zlib.compress(filtered, 3)


def _big_endian_rows(pixels: Pixels) -> np.ndarray:
    height = pixels.shape[0]
    if pixels.dtype == np.uint16:
        return pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    return pixels.reshape(height, -1)
