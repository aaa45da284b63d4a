"""A kernel made of row functions: how one call walks through the rows of an image.

The rules at the top of `rows` hold here too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from numpy import int64

from imgbatch_kernels import rows as loops
from imgbatch_kernels.fetching import LINE_BYTES, ROWS_AHEAD, fetch
from imgbatch_kernels.layout import TURN_SAMPLES, VECTOR_SAMPLES
from imgbatch_kernels.rows import Samples, copy_row, fill_mask, jit, keep_alpha, reflect_ends


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

    @jit
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
            keep_alpha(target, target_at, source, source_at, rows, mask, whole)
        if tail and whole:
            # The last vector once more, shifted to end with the row.
            at = samples - VECTOR_SAMPLES
            move_row(target, target_at + at, source, source_at + at, int64(VECTOR_SAMPLES), steps)
            if has_alpha:
                keep_alpha(
                    target,
                    target_at + at,
                    source,
                    source_at + at,
                    rows,
                    mask + at,
                    int64(VECTOR_SAMPLES),
                )
        elif tail:
            copy_row(rows, tail_in, source, source_at + whole, tail)
            move_row(rows, tail_out, rows, tail_in, int64(VECTOR_SAMPLES), steps)
            if has_alpha:
                at = mask + whole
                keep_alpha(rows, tail_out, rows, tail_in, rows, at, int64(VECTOR_SAMPLES))
            copy_row(target, target_at + whole, rows, tail_out, tail)

    return move


def _vector_function(functions: RowFunctions) -> Callable[..., None]:
    """Build the function that adjusts a part of a row that is made of whole vectors."""
    sharpen_row, adjust_row = functions.sharpen, functions.adjust

    @jit
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
            keep_alpha(target, target_at, rows, middle, rows, mask, count)
            keep_alpha(rows, column, source, source_at, rows, mask, count)

    return adjust_vectors


def row_function(functions: RowFunctions) -> Callable[..., None]:
    """Build the function that adjusts one row, and prepares the next on its way.

    The row to adjust is in `middle`, the one above it in `column`, both with brightness and
    contrast applied. The row below is read from `source`, and takes the place of the one above.
    With `may_overrun`, what follows the row in source and target may be read and spoilt, up to
    the end of a vector.
    """
    adjust_vectors = _vector_function(functions)

    @jit
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
        may_overrun: int,
        steps: Samples,
    ) -> None:
        mask = 2 * pitch if has_alpha else 0
        tail_in, tail_out = 3 * pitch, 3 * pitch + VECTOR_SAMPLES
        tail = samples % TURN_SAMPLES
        whole = samples - tail
        if tail and may_overrun:
            whole, tail = whole + TURN_SAMPLES, 0
        adjust_vectors(
            target, target_at, source, source_at, rows, column, middle, mask, channels, whole, steps
        )
        if tail:
            copy_row(rows, tail_in, source, source_at + whole, tail)
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
                int64(TURN_SAMPLES),
                steps,
            )
            copy_row(target, target_at + whole, rows, tail_out, tail)
        reflect_ends(rows, column, samples, channels)

    return adjust


@jit
def fetch_row(source: Samples, source_at: int, samples: int) -> None:
    """Ask for a row; of 16 bits for every second line, whose neighbour comes along."""
    for i in range(0, samples, LINE_BYTES):
        fetch(source, source_at + i)


def _point_walk(move: Callable[..., None]) -> Callable[..., None]:
    """Build the walk through the rows of an image that is not sharpened."""

    @jit
    def move_all(
        source: Samples, target: Samples, rows: Samples, shape: Samples, steps: Samples
    ) -> None:
        height, samples, source_step, target_step = shape[0], shape[1], shape[3], shape[4]
        has_alpha, in_place, pitch = shape[5], shape[6], shape[7]
        scratch = int64(VECTOR_SAMPLES)
        for y in range(height):
            here, there = y * source_step, y * target_step
            if in_place:
                if y + ROWS_AHEAD < height:
                    fetch_row(source, (y + ROWS_AHEAD) * source_step, samples)
                # Through scratch memory: LLVM vectorises only what it sees to be distinct.
                move(rows, scratch, source, here, rows, pitch, samples, has_alpha, steps)
                copy_row(target, there, rows, scratch, samples)
            else:
                move(target, there, source, here, rows, pitch, samples, has_alpha, steps)

    return move_all


def _sharpening_walk(move: Callable[..., None], adjust: Callable[..., None]) -> Callable[..., None]:
    """Build the walk through the rows of an image that is: each row is prepared once."""

    @jit
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
        source_step, target_step = shape[3], shape[4]
        has_alpha, in_place, pitch = shape[5], shape[6], shape[7]
        # What an overrun spoils is the start of rows whose turn comes later: if they follow without
        # a gap, and while as much follows. In place, LLVM would see an overlap and not vectorise.
        can_overrun = target_step == samples and not in_place
        zero, column = int64(0), int64(VECTOR_SAMPLES)
        middle = column + pitch
        move(rows, column, above, zero, rows, pitch, samples, has_alpha, steps)
        move(rows, middle, source, zero, rows, pitch, samples, has_alpha, steps)
        reflect_ends(rows, middle, samples, channels)
        for y in range(height):
            if in_place and y + ROWS_AHEAD < height:
                fetch_row(source, (y + ROWS_AHEAD) * source_step, samples)
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
                can_overrun and (height - y - 2) * samples >= TURN_SAMPLES,
                steps,
            )
            column, middle = middle, column

    return adjust_all


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
    move = point_function(functions)
    move_all = _point_walk(move)
    adjust_all = _sharpening_walk(move, row_function(functions))
    largest = functions.largest

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
            fill_mask(rows, 2 * shape[7], shape[2], shape[7], largest)
        if steps[4] == 0:
            move_all(source, target, rows, shape, steps)
        else:
            adjust_all(source, target, above, below, rows, shape, steps)

    return kernel


KERNELS: dict[str, Callable[..., None]] = {
    "uint8": rows_kernel(
        RowFunctions(loops.move_row_uint8, loops.sharpen_row_uint8, loops.adjust_row_uint8, 255)
    ),
    "uint16": rows_kernel(
        RowFunctions(
            loops.move_row_uint16, loops.sharpen_row_uint16, loops.adjust_row_uint16, 65535
        )
    ),
}
"""The kernel for each dtype of samples."""
