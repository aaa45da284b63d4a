"""The kernels that adjust an image: how one call walks through its rows.

The rules at the top of `adjust_rows` hold here too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy import int64

from imgbatch_kernels.loops import TURN_SAMPLES, VECTOR_SAMPLES
from imgbatch_kernels.loops.adjust_rows import (
    UINT8,
    UINT16,
    Depth,
    Loop,
    Place,
    Samples,
    after,
    copy_row,
    fill_mask,
    jit,
    keep_alpha,
    reflect_ends,
    scale_offset_row_of,
    sharpen_row_of,
)

_NOTHING: Any = int64(0)
_TURN: Any = int64(TURN_SAMPLES)
_VECTOR: Any = int64(VECTOR_SAMPLES)
"""As variables: for each literal, Numba would compile the functions that take it once more."""


class Work(NamedTuple):
    """What is the same for every row of an image."""

    samples: int
    """In a row."""
    channels: int
    coefficients: Samples
    mask: Place
    """All ones at colours, 0 at alpha."""
    has_alpha: bool
    tail_in: Place
    """A vector's room for the end of a source row."""
    tail_out: Place
    """The same for a target row."""


def scale_offset_of(depth: Depth) -> Loop:
    """Return the function that applies brightness and contrast to one row."""
    scale_offset_row = scale_offset_row_of(depth)

    @jit
    def scale_offset_part(target: Place, source: Place, at: int, count: int, work: Work) -> None:
        scale_offset_row(target, source, count, work.coefficients)
        if work.has_alpha:
            keep_alpha(target, source, after(work.mask, at), count)

    @jit
    def scale_offset(target: Place, source: Place, work: Work) -> None:
        tail = work.samples % VECTOR_SAMPLES
        whole = work.samples - tail
        scale_offset_part(target, source, _NOTHING, whole, work)
        if tail and whole:
            # The last vector once more, shifted to end with the row.
            at = work.samples - VECTOR_SAMPLES
            scale_offset_part(after(target, at), after(source, at), at, _VECTOR, work)
        elif tail:
            copy_row(work.tail_in, source, tail)
            scale_offset_part(work.tail_out, work.tail_in, _NOTHING, _VECTOR, work)
            copy_row(target, work.tail_out, tail)

    return scale_offset


def sharpen_of(depth: Depth) -> Loop:
    """Return the function that adjusts one row, and prepares the next on its way.

    The row to adjust is in `middle`, the one above it in `column`, both with brightness and
    contrast applied. The row below is read from `source`, and takes the place of the one above.
    With `may_overrun`, what follows the row in source and target may be read and spoilt, up to
    the end of a vector.
    """
    sharpen_row, adjust_row = sharpen_row_of(depth, True), sharpen_row_of(depth, False)

    @jit
    def sharpen_part(
        target: Place, source: Place, column: Place, middle: Place, at: int, count: int, work: Work
    ) -> None:
        factors, channels = work.coefficients, work.channels
        above, here = after(column, at), after(middle, at)
        if factors[0] == 1 and factors[1] == 0 and factors[2] == 0 and factors[3] == 0:
            sharpen_row(target, source, above, here, channels, count, factors)
        else:
            adjust_row(target, source, above, here, channels, count, factors)
        if work.has_alpha:
            keep_alpha(target, here, after(work.mask, at), count)
            keep_alpha(above, source, after(work.mask, at), count)

    @jit
    def sharpen(
        target: Place, source: Place, column: Place, middle: Place, may_overrun: bool, work: Work
    ) -> None:
        tail = work.samples % TURN_SAMPLES
        whole = work.samples - tail
        if tail and may_overrun:
            whole, tail = whole + TURN_SAMPLES, 0
        sharpen_part(target, source, column, middle, _NOTHING, whole, work)
        if tail:
            copy_row(work.tail_in, after(source, whole), tail)
            sharpen_part(work.tail_out, work.tail_in, column, middle, whole, _TURN, work)
            copy_row(after(target, whole), work.tail_out, tail)
        reflect_ends(column, work.samples, work.channels)

    return sharpen


def kernel_of(depth: Depth) -> Loop:
    """Return the kernel of one depth.

    It takes seven pointers and returns nothing:

    ``source``, ``target``
        The first sample of the first row; rows follow each other without gaps. The two share no
        memory: LLVM vectorises only what it sees to be distinct.
    ``above``, ``below``
        The source rows next to the first and the last row.
    ``rows``
        Scratch memory, as `loops` describes it.
    ``shape``
        int64: rows; samples in a row; channels; samples from one scratch row to the next.
    ``coefficients``
        In the lanes' type: slope and offset of `coefficients.Coefficients`, each as whole part
        and 256ths, and the weight.
    """
    scale_offset, sharpen = scale_offset_of(depth), sharpen_of(depth)

    def kernel(
        source: Samples,
        target: Samples,
        above: Samples,
        below: Samples,
        rows: Samples,
        shape: Samples,
        coefficients: Samples,
    ) -> None:
        height, samples, channels, pitch = shape[0], shape[1], shape[2], shape[3]
        mask, tail = Place(rows, 2 * pitch), Place(rows, 3 * pitch)
        has_alpha = channels % 2 == 0
        if has_alpha:
            fill_mask(mask, channels, pitch)
        tail_out = after(tail, _VECTOR)
        work = Work(samples, channels, coefficients, mask, has_alpha, tail, tail_out)
        if coefficients[4] == 0:
            for y in range(height):
                scale_offset(Place(target, y * samples), Place(source, y * samples), work)
            return
        column, middle = Place(rows, _VECTOR), Place(rows, _VECTOR + pitch)
        scale_offset(column, Place(above, _NOTHING), work)
        scale_offset(middle, Place(source, _NOTHING), work)
        reflect_ends(middle, samples, channels)
        for y in range(height):
            following = Place(below, _NOTHING)
            if y + 1 < height:
                following = Place(source, (y + 1) * samples)
            # What an overrun spoils is the start of rows whose turn comes later, while as much
            # follows.
            may_overrun = (height - y - 2) * samples >= TURN_SAMPLES
            sharpen(Place(target, y * samples), following, column, middle, may_overrun, work)
            column, middle = middle, column

    return kernel


KERNELS = {"adjust-uint8": kernel_of(UINT8), "adjust-uint16": kernel_of(UINT16)}
