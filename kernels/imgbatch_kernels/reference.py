"""The same adjustment by OpenCV, and PNG's filters by numpy: the definition of what is right.

The kernels give these very pixels and bytes, faster; where they can't run, this module does their
work. It needs `cv2`; the rest of the package does not.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imgbatch_kernels.coefficients import UNIT, Coefficients, coefficients_of


def adjust(
    image: NDArray[Any], *, brightness: int = 0, contrast: int = 0, sharpness: int = 0
) -> NDArray[Any]:
    """Adjust an image with `cv2.addWeighted`, then `cv2.filter2D`.

    Parameters and result are those of `imgbatch_kernels.adjust`, which checks them. 16-bit images
    are computed in float64 and rounded, halves to even, after each step: in float32, OpenCV's own
    working type for them, their products do not fit.
    """
    coefficients = coefficients_of(brightness, contrast, sharpness, 8 * image.itemsize)
    result = image.reshape(*image.shape[:2], -1).copy()
    channels = result.shape[2] - (result.shape[2] in {2, 4})  # without alpha
    result[:, :, :channels] = _adjust_colours(result[:, :, :channels].copy(), coefficients)
    return result.reshape(image.shape)


def _adjust_colours(image: NDArray[Any], coefficients: Coefficients) -> NDArray[Any]:
    """Adjust an array (H, W, C) of uint8 or uint16, none of its channels alpha."""
    slope, offset, weight = (each / UNIT for each in coefficients)
    kernel = np.array([[0, -weight, 0], [-weight, 1 + 4 * weight, -weight], [0, -weight, 0]])

    def scale_offset(samples: Any) -> Any:
        return cv2.addWeighted(samples, slope, samples, 0.0, offset).reshape(image.shape)

    def sharpen(samples: Any) -> Any:
        return cv2.filter2D(samples, -1, kernel).reshape(image.shape)

    if image.dtype == np.uint8:
        return sharpen(scale_offset(image))  # type: ignore[no-any-return]
    for step in (scale_offset, sharpen):
        image = np.clip(np.rint(step(image.astype(np.float64))), 0, 65535).astype(np.uint16)
    return image


def filter_rows(rows: NDArray[np.uint8], out: NDArray[np.uint8], step: int, kind: int) -> None:
    """Apply one of PNG's filters, or for each row the one that comes nearest to zero.

    Parameters
    ----------
    rows
        (height, row_bytes) uint8, samples big-endian.
    out
        (height, 1 + row_bytes) uint8: each row with its filter in front.
    step
        Bytes from a sample to the same one of the pixel on its left.
    kind
        0..4: None, Sub, Up, Average, Paeth; 5: the lightest of them, the first if equal.
    """
    blank = np.zeros(step, np.int16)
    above = np.zeros(step + rows.shape[1], np.int16)
    for row, target in zip(rows, out, strict=True):
        current = np.concatenate((blank, row))
        a, b, c = current[:-step], above[step:], above[:-step]
        to_left, to_above, to_corner = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        paeth = np.where(to_above <= to_corner, b, c)
        paeth = np.where(to_left <= np.minimum(to_above, to_corner), a, paeth)
        filtered = [(row - it).astype(np.uint8) for it in (0, a, b, (a + b) >> 1, paeth)]
        weights = [int(np.minimum(it, 0 - it).sum(dtype=np.int64)) for it in filtered]
        target[0] = kind if kind < len(filtered) else weights.index(min(weights))
        target[1:] = filtered[target[0]]
        above = current
