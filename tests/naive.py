"""The adjustment in plain Python, written from its definition alone: slow and obvious.

Fractions make every step exact, and Python rounds a fraction's halves to even.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray


def adjust(
    image: NDArray[Any], *, brightness: int = 0, contrast: int = 0, sharpness: int = 0
) -> NDArray[Any]:
    """Adjust an image (H, W) or (H, W, C) of uint8 or uint16; alpha, of 2 or 4 channels, stays."""
    height, width = image.shape[:2]
    samples = image.reshape(height, width, -1)
    channels = samples.shape[2]
    result = samples.copy()
    for channel in range(channels - 1 if channels in {2, 4} else channels):
        plane = [[int(value) for value in row] for row in samples[:, :, channel]]
        highest = 255 if image.dtype == np.uint8 else 65535
        moved = _move(plane, brightness, contrast, highest)
        result[:, :, channel] = _sharpen(moved, sharpness, highest)
    return result.reshape(image.shape)


def _move(plane: list[list[int]], brightness: int, contrast: int, highest: int) -> list[list[int]]:
    percent = 2 * contrast if contrast >= 0 else contrast
    slope = Fraction(round(256 * (1 + Fraction(percent, 100))), 256)
    middle = 128 if highest == 255 else 32768
    level = 1 if highest == 255 else 257
    return [
        [_saturated(slope * (v - middle) + middle + level * brightness, highest) for v in row]
        for row in plane
    ]


def _sharpen(plane: list[list[int]], sharpness: int, highest: int) -> list[list[int]]:
    k = Fraction(round(Fraction(256 * sharpness, 100)), 256)
    height, width = len(plane), len(plane[0])

    def at(y: int, x: int) -> int:
        return plane[_reflected(y, height)][_reflected(x, width)]

    return [
        [
            _saturated(
                (1 + 4 * k) * at(y, x)
                - k * (at(y - 1, x) + at(y + 1, x) + at(y, x - 1) + at(y, x + 1)),
                highest,
            )
            for x in range(width)
        ]
        for y in range(height)
    ]


def _reflected(index: int, length: int) -> int:
    if length == 1:
        return 0
    return 1 if index < 0 else length - 2 if index == length else index


def _saturated(value: Fraction, highest: int) -> int:
    return min(max(round(value), 0), highest)
