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
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy import int16, int32, int64, uint16

from imgbatch_kernels.layout import VECTOR_SAMPLES

_jit: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(error_model="numpy", nogil=True)

Samples: TypeAlias = Any
"""A pointer to samples: in compiled code that of C, in plain Python a flat numpy array."""


# --- 8 bits: lanes of int16 -----------------------------------------------------------------------


@_jit
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


@_jit
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


@_jit
def _move_row_uint8(
    target: Samples, target_at: int, source: Samples, source_at: int, count: int, steps: Samples
) -> None:
    whole, fraction = uint16(steps[0]), uint16(steps[1])
    level, remainder = int16(steps[2]), uint16(steps[3] + 128)
    for i in range(count):
        value = uint16(source[source_at + i])
        target[target_at + i] = np.uint8(_move_uint8(value, whole, fraction, level, remainder))


@_jit
def _sharpen_row_uint8(
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
    weight = int16(steps[4] * 8)
    for i in range(count):
        south = int16(source[source_at + i])
        beside = int16(int16(rows[middle + i + channels]) + int16(rows[middle + i - channels]))
        around = int16(int16(beside + int16(rows[column + i])) + south)
        rows[column + i] = np.uint8(south)
        target[target_at + i] = np.uint8(_sharpen_uint8(int16(rows[middle + i]), around, weight))


@_jit
def _adjust_row_uint8(
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


@_jit
def _move_uint16(value: int32, slope: int32, offset: int32) -> int32:
    """Brightness and contrast as for 8 bits; 65535 * 768 plus any offset fits int32."""
    moved = int32(int32(value * slope) + offset)
    even = int32(-2 if int32(moved & 255) == 0 else -1)
    moved = int32(int32(moved >> 8) & even)
    return min(max(moved, int32(0)), int32(65535))


@_jit
def _sharpen_uint16(sample: int32, around: int32, weight: int32) -> int32:
    """Sharpness as for 8 bits; 4 * 65535 * 256 fits int32."""
    change = int32(int32(int32(int32(sample * 4) - around) * weight) + 128)
    result = int32(sample + int32(change >> 8))
    result = int32(result & int32(-2 if int32(change & 255) == 0 else -1))
    return min(max(result, int32(0)), int32(65535))


@_jit
def _move_row_uint16(
    target: Samples, target_at: int, source: Samples, source_at: int, count: int, steps: Samples
) -> None:
    slope, offset = int32(steps[0] * 256 + steps[1]), int32(steps[2] * 256 + steps[3] + 128)
    for i in range(count):
        target[target_at + i] = uint16(_move_uint16(int32(source[source_at + i]), slope, offset))


@_jit
def _sharpen_row_uint16(
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
    weight = int32(steps[4])
    for i in range(count):
        south = int32(source[source_at + i])
        beside = int32(int32(rows[middle + i + channels]) + int32(rows[middle + i - channels]))
        around = int32(int32(beside + int32(rows[column + i])) + south)
        rows[column + i] = uint16(south)
        target[target_at + i] = uint16(_sharpen_uint16(int32(rows[middle + i]), around, weight))


@_jit
def _adjust_row_uint16(
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
    slope, offset = int32(steps[0] * 256 + steps[1]), int32(steps[2] * 256 + steps[3] + 128)
    weight = int32(steps[4])
    for i in range(count):
        south = _move_uint16(int32(source[source_at + i]), slope, offset)
        beside = int32(int32(rows[middle + i + channels]) + int32(rows[middle + i - channels]))
        around = int32(int32(beside + int32(rows[column + i])) + south)
        rows[column + i] = uint16(south)
        target[target_at + i] = uint16(_sharpen_uint16(int32(rows[middle + i]), around, weight))


# --- any depth ------------------------------------------------------------------------------------


@_jit
def _copy_row(target: Samples, target_at: int, source: Samples, source_at: int, count: int) -> None:
    for i in range(count):
        target[target_at + i] = source[source_at + i]


@_jit
def _keep_alpha(
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


@_jit
def _fill_mask(rows: Samples, mask: int, channels: int, count: int, ones: int) -> None:
    """All ones at colours, 0 at alpha, which is the last channel."""
    for i in range(count):
        rows[mask + i] = ones
    for i in range(channels - 1, count, channels):
        rows[mask + i] = 0


@_jit
def _reflect_ends(rows: Samples, row: int, samples: int, channels: int) -> None:
    """Fill the pixels beside the first and the last: reflect 101, OpenCV's default border."""
    inwards = channels if samples > channels else 0
    end = row + samples
    for i in range(channels):
        rows[row - channels + i] = rows[row + inwards + i]
        rows[end + i] = rows[end - channels - inwards + i]


class RowFunctions(NamedTuple):
    """The loops of one depth."""

    move: Callable[..., None]
    sharpen: Callable[..., None]
    adjust: Callable[..., None]
    largest: int
    """The largest sample: all bits set."""


def point_function(functions: RowFunctions) -> Callable[..., None]:
    """Build the function that applies brightness and contrast to one row."""
    move_row = functions.move

    @_jit
    def move(
        target: Samples,
        target_at: int,
        source: Samples,
        source_at: int,
        rows: Samples,
        pitch: int,
        samples: int,
        has_alpha: int,
        steps: Samples,
    ) -> None:
        mask, tail_in, tail_out = 2 * pitch, 3 * pitch, 3 * pitch + VECTOR_SAMPLES
        tail = samples % VECTOR_SAMPLES
        whole = samples - tail
        move_row(target, target_at, source, source_at, whole, steps)
        if has_alpha:
            _keep_alpha(target, target_at, source, source_at, rows, mask, whole)
        if tail and whole:
            # The last vector once more, shifted to end with the row.
            at = samples - VECTOR_SAMPLES
            move_row(target, target_at + at, source, source_at + at, int64(VECTOR_SAMPLES), steps)
            if has_alpha:
                _keep_alpha(
                    target,
                    target_at + at,
                    source,
                    source_at + at,
                    rows,
                    mask + at,
                    int64(VECTOR_SAMPLES),
                )
        elif tail:
            _copy_row(rows, tail_in, source, source_at + whole, tail)
            move_row(rows, tail_out, rows, tail_in, int64(VECTOR_SAMPLES), steps)
            if has_alpha:
                at = mask + whole
                _keep_alpha(rows, tail_out, rows, tail_in, rows, at, int64(VECTOR_SAMPLES))
            _copy_row(target, target_at + whole, rows, tail_out, tail)

    return move


def row_function(functions: RowFunctions) -> Callable[..., None]:
    """Build the function that adjusts one row, and prepares the next on its way.

    The row to adjust is in `middle`, the one above it in `column`, both with brightness and
    contrast applied. The row below is read from `source`, and takes the place of the one above.
    """
    sharpen_row, adjust_row = functions.sharpen, functions.adjust

    @_jit
    def adjust_vectors(
        target: Samples,
        target_at: int,
        source: Samples,
        source_at: int,
        rows: Samples,
        column: int,
        middle: int,
        mask: int,
        channels: int,
        count: int,
        steps: Samples,
    ) -> None:
        if steps[0] == 1 and steps[1] == 0 and steps[2] == 0 and steps[3] == 0:
            sharpen_row(
                target, target_at, source, source_at, rows, column, middle, channels, count, steps
            )
        else:
            adjust_row(
                target, target_at, source, source_at, rows, column, middle, channels, count, steps
            )
        if mask:
            _keep_alpha(target, target_at, rows, middle, rows, mask, count)
            _keep_alpha(rows, column, source, source_at, rows, mask, count)

    @_jit
    def adjust(
        target: Samples,
        target_at: int,
        source: Samples,
        source_at: int,
        rows: Samples,
        column: int,
        middle: int,
        pitch: int,
        samples: int,
        channels: int,
        has_alpha: int,
        steps: Samples,
    ) -> None:
        mask = 2 * pitch if has_alpha else 0
        tail_in, tail_out = 3 * pitch, 3 * pitch + VECTOR_SAMPLES
        tail = samples % VECTOR_SAMPLES
        whole = samples - tail
        adjust_vectors(
            target, target_at, source, source_at, rows, column, middle, mask, channels, whole, steps
        )
        if tail:
            _copy_row(rows, tail_in, source, source_at + whole, tail)
            adjust_vectors(
                rows,
                tail_out,
                rows,
                tail_in,
                rows,
                column + whole,
                middle + whole,
                mask + whole if mask else 0,
                channels,
                int64(VECTOR_SAMPLES),
                steps,
            )
            _copy_row(target, target_at + whole, rows, tail_out, tail)
        _reflect_ends(rows, column, samples, channels)

    return adjust


def rows_kernel(functions: RowFunctions) -> Callable[..., None]:
    """Build the kernel of one depth.

    The kernel takes seven pointers and returns nothing:

    ``source``, ``target``
        The first sample of the first row. They may be the same address.
    ``above``, ``below``
        The source rows next to the first and the last row; no part of the target.
    ``rows``
        Scratch memory, as `layout` describes it.
    ``shape``
        int64: rows; samples in a row; channels; samples from one row to the next in the source,
        and in the target; whether the last channel is alpha; whether source and target are the
        same; samples from one scratch row to the next.
    ``steps``
        In the lanes' type: slope and offset of `coefficients.Coefficients`, each as whole part
        and 256ths, and the weight.
    """
    move, adjust = point_function(functions), row_function(functions)
    largest = functions.largest

    @_jit
    def move_all(
        source: Samples, target: Samples, rows: Samples, shape: Samples, steps: Samples
    ) -> None:
        height, samples, source_step, target_step = shape[0], shape[1], shape[3], shape[4]
        has_alpha, in_place, pitch = shape[5], shape[6], shape[7]
        scratch = int64(VECTOR_SAMPLES)
        for y in range(height):
            here, there = y * source_step, y * target_step
            if in_place:
                # Through scratch memory: LLVM vectorises only what it sees to be distinct.
                move(rows, scratch, source, here, rows, pitch, samples, has_alpha, steps)
                _copy_row(target, there, rows, scratch, samples)
            else:
                move(target, there, source, here, rows, pitch, samples, has_alpha, steps)

    @_jit
    def adjust_all(
        source: Samples,
        target: Samples,
        above: Samples,
        below: Samples,
        rows: Samples,
        shape: Samples,
        steps: Samples,
    ) -> None:
        height, samples, channels = shape[0], shape[1], shape[2]
        source_step, target_step, has_alpha, pitch = shape[3], shape[4], shape[5], shape[7]
        zero, column = int64(0), int64(VECTOR_SAMPLES)
        middle = column + pitch
        move(rows, column, above, zero, rows, pitch, samples, has_alpha, steps)
        move(rows, middle, source, zero, rows, pitch, samples, has_alpha, steps)
        _reflect_ends(rows, middle, samples, channels)
        for y in range(height):
            following, at = below, zero
            if y + 1 < height:
                following, at = source, (y + 1) * source_step
            adjust(
                target,
                y * target_step,
                following,
                at,
                rows,
                column,
                middle,
                pitch,
                samples,
                channels,
                has_alpha,
                steps,
            )
            column, middle = middle, column

    def kernel(
        source: Samples,
        target: Samples,
        above: Samples,
        below: Samples,
        rows: Samples,
        shape: Samples,
        steps: Samples,
    ) -> None:
        if shape[5]:
            _fill_mask(rows, 2 * shape[7], shape[2], shape[7], largest)
        if steps[4] == 0:
            move_all(source, target, rows, shape, steps)
        else:
            adjust_all(source, target, above, below, rows, shape, steps)

    return kernel


KERNELS: dict[str, Callable[..., None]] = {
    "uint8": rows_kernel(RowFunctions(_move_row_uint8, _sharpen_row_uint8, _adjust_row_uint8, 255)),
    "uint16": rows_kernel(
        RowFunctions(_move_row_uint16, _sharpen_row_uint16, _adjust_row_uint16, 65535)
    ),
}
"""The kernel for each dtype of samples."""
