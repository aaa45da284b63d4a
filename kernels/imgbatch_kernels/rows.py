"""The loops over samples, in the subset of Python that Numba compiles.

Rules of this file:

1. A row function is one loop of straight-line arithmetic over contiguous samples. Channels are no
   concern of it: the neighbour to the east of a sample is the one `channels` further on.
2. Every intermediate result is cast back to the type it fits in. Numba widens integers to int64;
   LLVM narrows again only what is cast, and a vector holds four times as many int16 as int64. The
   coefficients reach the loops in the lanes' type, read from memory: given as int64, the
   multiplications are done in 64 bits (4.2 ms instead of 1.1 for 36 million samples in L1).
3. Memory is a pointer and an offset. Slices of arrays cost reference counts, 4.64 ms instead of
   4.05 for those samples in rows of 1000 pixels, and an index that could be negative a test in
   every turn, which ends vectorisation.
4. No value overflows its type, except where low bits are taken on purpose. The same code therefore
   runs as plain Python over numpy arrays, with the same results.
5. No exceptions, no allocation, no call but those of this file, so that the compiled code needs
   nothing of Python or Numba and can be kept in a file (see `native`).

This module imports numba, so it is itself imported only when there is something to compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy import int16, int32, uint16

jit: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(error_model="numpy", nogil=True)

Samples: TypeAlias = Any
"""A pointer to samples: in compiled code that of C, in plain Python a flat numpy array."""


# --- 8 bits: lanes of int16 -----------------------------------------------------------------------


@jit
def _move_uint8(
    value: uint16, whole: uint16, fraction: uint16, level: int16, remainder: uint16
) -> int16:
    """Brightness and contrast of one sample: ``(slope * v + offset) / 256``.

    Slope and offset come as whole and fractional bytes, so that every product fits 16 bits:
    at most 255 * 255 + 128 + 128 for the fraction. `remainder` includes the half that rounds.
    """
    low = uint16(uint16(value * fraction) + remainder)
    moved = int16(int16(int16(value * whole) + level) + int16(low >> 8))
    # The half was added before the shift, so halves went up; a remainder of 0 was one.
    moved = int16(moved & int16(-2 if uint16(low & 255) == 0 else -1))
    return min(max(moved, int16(0)), int16(255))


@jit
def _sharpen_uint8(sample: int16, around: int16, weight: int16) -> int16:
    """Sharpness of one sample: ``p + weight * (4 * p - around) / 256``.

    The difference is at most 1020 and the weight 256, so their product has 19 bits. Times 32 and
    times 8 they still fit int16, the product's high 16 bits are the quotient by 256, and its low
    16 bits the remainder times 256: `vpmulhw` and `vpmullw`, with no int32 anywhere. The high
    half must be written as a 32-bit product and a shift, the low half as a 16-bit product:
    written as two parts of one product it takes 7.6 ms instead of 2.0.
    """
    difference = int16(int16(int16(sample * 4) - around) * 32)
    high = int16((int32(difference) * int32(weight)) >> 16)
    low = uint16(uint16(difference) * uint16(weight))
    result = int16(sample + high)
    # Up if the remainder is above a half, or a half and the result odd: then, and only then, bit
    # 15 is set after 1 has been taken away, stopping at 0. Tried for 36 million samples in L1:
    # `(frac + 127 + (result & 1)) >> 8` 2.3 ms, a mask as above 2.06 ms, this 1.95 ms.
    tie = uint16(low | uint16(result & 1))
    tie = uint16(max(tie, uint16(1)) - uint16(1))
    result = int16(result + int16(tie >> 15))
    return min(max(result, int16(0)), int16(255))


@jit
def move_row_uint8(
    target: Samples, target_at: int, source: Samples, source_at: int, count: int, steps: Samples
) -> None:
    """Apply brightness and contrast to samples."""
    whole, fraction = uint16(steps[0]), uint16(steps[1])
    level, remainder = int16(steps[2]), uint16(steps[3] + 128)
    for i in range(count):
        value = uint16(source[source_at + i])
        target[target_at + i] = np.uint8(_move_uint8(value, whole, fraction, level, remainder))


@jit
def sharpen_row_uint8(
    target: Samples,
    target_at: int,
    source: Samples,
    source_at: int,
    rows: Samples,
    column: int,
    middle: int,
    channels: int,
    count: int,
    steps: Samples,
) -> None:
    """Sharpen the samples at `middle`; `column` goes from the row above to the one below."""
    weight = int16(steps[4] * 8)
    for i in range(count):
        south = int16(source[source_at + i])
        beside = int16(int16(rows[middle + i + channels]) + int16(rows[middle + i - channels]))
        around = int16(int16(beside + int16(rows[column + i])) + south)
        rows[column + i] = np.uint8(south)
        target[target_at + i] = np.uint8(_sharpen_uint8(int16(rows[middle + i]), around, weight))


@jit
def adjust_row_uint8(
    target: Samples,
    target_at: int,
    source: Samples,
    source_at: int,
    rows: Samples,
    column: int,
    middle: int,
    channels: int,
    count: int,
    steps: Samples,
) -> None:
    """Do as `sharpen_row_uint8`, with brightness and contrast applied to the row below."""
    whole, fraction = uint16(steps[0]), uint16(steps[1])
    level, remainder = int16(steps[2]), uint16(steps[3] + 128)
    weight = int16(steps[4] * 8)
    for i in range(count):
        south = _move_uint8(uint16(source[source_at + i]), whole, fraction, level, remainder)
        beside = int16(int16(rows[middle + i + channels]) + int16(rows[middle + i - channels]))
        around = int16(int16(beside + int16(rows[column + i])) + south)
        rows[column + i] = np.uint8(south)
        target[target_at + i] = np.uint8(_sharpen_uint8(int16(rows[middle + i]), around, weight))


# --- 16 bits: lanes of int32 ----------------------------------------------------------------------


@jit
def _move_uint16(value: int32, slope: int32, offset: int32) -> int32:
    """Brightness and contrast as for 8 bits; 65535 * 768 plus any offset fits int32."""
    moved = int32(int32(value * slope) + offset)
    even = int32(-2 if int32(moved & 255) == 0 else -1)
    moved = int32(int32(moved >> 8) & even)
    return min(max(moved, int32(0)), int32(65535))


@jit
def _sharpen_uint16(sample: int32, around: int32, weight: int32) -> int32:
    """Sharpness as for 8 bits; 4 * 65535 * 256 fits int32."""
    change = int32(int32(int32(int32(sample * 4) - around) * weight) + 128)
    result = int32(sample + int32(change >> 8))
    result = int32(result & int32(-2 if int32(change & 255) == 0 else -1))
    return min(max(result, int32(0)), int32(65535))


@jit
def move_row_uint16(
    target: Samples, target_at: int, source: Samples, source_at: int, count: int, steps: Samples
) -> None:
    """Apply brightness and contrast to samples."""
    slope, offset = int32(steps[0] * 256 + steps[1]), int32(steps[2] * 256 + steps[3] + 128)
    for i in range(count):
        target[target_at + i] = uint16(_move_uint16(int32(source[source_at + i]), slope, offset))


@jit
def sharpen_row_uint16(
    target: Samples,
    target_at: int,
    source: Samples,
    source_at: int,
    rows: Samples,
    column: int,
    middle: int,
    channels: int,
    count: int,
    steps: Samples,
) -> None:
    """Sharpen the samples at `middle`; `column` goes from the row above to the one below."""
    weight = int32(steps[4])
    for i in range(count):
        south = int32(source[source_at + i])
        beside = int32(int32(rows[middle + i + channels]) + int32(rows[middle + i - channels]))
        around = int32(int32(beside + int32(rows[column + i])) + south)
        rows[column + i] = uint16(south)
        target[target_at + i] = uint16(_sharpen_uint16(int32(rows[middle + i]), around, weight))


@jit
def adjust_row_uint16(
    target: Samples,
    target_at: int,
    source: Samples,
    source_at: int,
    rows: Samples,
    column: int,
    middle: int,
    channels: int,
    count: int,
    steps: Samples,
) -> None:
    """Do as `sharpen_row_uint16`, with brightness and contrast applied to the row below."""
    slope, offset = int32(steps[0] * 256 + steps[1]), int32(steps[2] * 256 + steps[3] + 128)
    weight = int32(steps[4])
    for i in range(count):
        south = _move_uint16(int32(source[source_at + i]), slope, offset)
        beside = int32(int32(rows[middle + i + channels]) + int32(rows[middle + i - channels]))
        around = int32(int32(beside + int32(rows[column + i])) + south)
        rows[column + i] = uint16(south)
        target[target_at + i] = uint16(_sharpen_uint16(int32(rows[middle + i]), around, weight))


# --- any depth ------------------------------------------------------------------------------------


@jit
def copy_row(target: Samples, target_at: int, source: Samples, source_at: int, count: int) -> None:
    """Copy samples."""
    for i in range(count):
        target[target_at + i] = source[source_at + i]


@jit
def keep_alpha(
    target: Samples,
    target_at: int,
    source: Samples,
    source_at: int,
    rows: Samples,
    mask: int,
    count: int,
) -> None:
    """Take the samples back whose mask is 0.

    A pass of its own over samples that are still in L1: a stride of 4 does not vectorise.
    """
    for i in range(count):
        keep = ~rows[mask + i]
        target[target_at + i] = (target[target_at + i] & rows[mask + i]) | (
            source[source_at + i] & keep
        )


@jit
def fill_mask(rows: Samples, mask: int, channels: int, count: int, ones: int) -> None:
    """All ones at colours, 0 at alpha, which is the last channel."""
    for i in range(count):
        rows[mask + i] = ones
    for i in range(channels - 1, count, channels):
        rows[mask + i] = 0


@jit
def reflect_ends(rows: Samples, row: int, samples: int, channels: int) -> None:
    """Fill the pixels beside the first and the last: reflect 101, OpenCV's default border."""
    inwards = channels if samples > channels else 0
    end = row + samples
    for i in range(channels):
        rows[row - channels + i] = rows[row + inwards + i]
        rows[end + i] = rows[end - channels - inwards + i]
