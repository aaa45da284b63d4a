"""From three factors in percent to the whole numbers that the arithmetic uses.

Slope and weight are rounded to the nearest 1/256. Every product and sum of an 8-bit image is
then a multiple of 1/256 below 2**24/256, so OpenCV's float32 holds it exactly, whatever the
order of its additions and with or without fused multiply-add, and integers can reproduce it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

FACTOR_RANGES = {"brightness": (-100, 100), "contrast": (-100, 100), "sharpness": (0, 100)}
"""The lowest and highest value of each factor; 0 leaves the image as it is."""

UNIT = 256
"""Slopes, offsets and weights count 1/256ths."""


class Coefficients(NamedTuple):
    """What one adjustment does to the samples of one depth, in 1/256ths.

    A sample ``v`` becomes ``p = saturated((slope * v + offset) / 256)``, and then, with ``n``,
    ``s``, ``e`` and ``w`` the neighbours of ``p`` in its own channel,
    ``saturated(p + weight * (4 * p - n - s - e - w) / 256)``. Both round halves to even.
    """

    slope: int
    """0..768; 256 is neutral."""
    offset: int
    """What is added after the slope: brightness, and the turn about mid-grey."""
    weight: int
    """0..256: the weight of each of the four neighbours."""

    @property
    def has_point_step(self) -> bool:
        """Whether brightness or contrast change anything."""
        return self.slope != UNIT or self.offset != 0


def _nearest(numerator: int, denominator: int) -> int:
    """Round a quotient to the nearest whole number.

    No factor makes a half (512/100 and 256/100 have the odd denominator 25 in lowest terms), so
    no rule for ties is needed.
    """
    return (2 * numerator + denominator) // (2 * denominator)


@lru_cache(maxsize=256)
def coefficients_of(
    brightness: int, contrast: int, sharpness: int, sample_bits: int
) -> Coefficients:
    """Translate factors into the coefficients for samples of 8 or 16 bits.

    Parameters
    ----------
    brightness
        -100..100: levels of 255 to add; a level of a 16-bit image is 257.
    contrast
        -100..100: the slope about mid-grey (128, or 32768) is ``1 + 2 * contrast / 100`` from 0
        upwards and ``1 + contrast / 100`` below.
    sharpness
        0..100: weight of each neighbour in percent.
    sample_bits
        8 or 16.
    """
    slope = UNIT + _nearest((2 if contrast > 0 else 1) * contrast * UNIT, 100)
    level, middle = (1, 128) if sample_bits == 8 else (257, 32768)
    offset = UNIT * level * brightness + middle * (UNIT - slope)
    return Coefficients(slope, offset, _nearest(sharpness * UNIT, 100))
