"""PNG's row filters undone (W3C PNG, section 9), a pixel at a time.

For pixels of three bytes that is, in GB/s: Sub 3.9, Up 18, Average 1.6, Paeth 1.26 (a loop over
bytes: 0.4). Grey of 8 bits, whose pixels have but one lane, is a third of that; isal inflates
photographs at 0.75.

This module imports numba, so it is itself imported only when there is something to compile; see
`png_native`. Nothing in it may allocate, raise, or call Python.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numpy import uint8, uint16

from imgbatch.images import png_lanes
from imgbatch.images.png_filters import Bytes, copy_row, jit
from imgbatch.images.png_native import AVERAGE, PAD_BYTES, PAETH, SUB, UP

_add, _mean = png_lanes.add, png_lanes.mean
_nearest, _zeros = png_lanes.nearest, png_lanes.zeros


@jit
def _join(target: Bytes, row: Bytes) -> None:
    """Make 16-bit numbers of pairs of bytes, the high one first."""
    for i in range(target.shape[0]):
        target[i] = uint16(uint16(uint16(row[2 * i]) << 8) | uint16(row[2 * i + 1]))


@jit
def _undo_up(row: Bytes, above: Bytes) -> None:
    for i in range(row.shape[0]):
        row[i] = uint8(row[i] + above[i])


def _loops_of(step: int) -> Any:
    """Return the loops over a row whose pixels have `step` bytes: for Sub, Average and Paeth."""
    load, store = png_lanes.loader(step), png_lanes.storer(step)

    @jit
    def undo_sub(row: Bytes) -> None:
        left = _zeros()
        for at in range(0, row.shape[0], step):
            left = _add(load(row, at), left)
            store(row, at, left)

    @jit
    def undo_average(row: Bytes, above: Bytes) -> None:
        left = _zeros()
        for at in range(0, row.shape[0], step):
            left = _add(load(row, at), _mean(left, load(above, at)))
            store(row, at, left)

    @jit
    def undo_paeth(row: Bytes, above: Bytes) -> None:
        left = corner = _zeros()
        for at in range(0, row.shape[0], step):
            up = load(above, at)
            left = _add(load(row, at), _nearest(left, up, corner))
            store(row, at, left)
            corner = up

    return undo_sub, undo_average, undo_paeth


def _one_row_of(step: int) -> Any:
    """Return the loop over a row of any filter."""
    undo_sub, undo_average, undo_paeth = _loops_of(step)

    @jit
    def undo(row: Bytes, above: Bytes, kind: int) -> None:
        if kind == SUB:
            undo_sub(row)
        elif kind == UP:
            _undo_up(row, above)
        elif kind == AVERAGE:
            undo_average(row, above)
        elif kind == PAETH:
            undo_paeth(row, above)

    return undo


def _two_rows_of(step: int) -> Any:
    """Return the loop over two rows of Paeth's filter: what one waits for, the other uses.

    The second is a pixel behind, so that what is above it is at hand: 1.26 GB/s in place of 0.69
    for pixels of three bytes.
    """
    load, store = png_lanes.loader(step), png_lanes.storer(step)

    @jit
    def undo(row: Bytes, below: Bytes, above: Bytes) -> None:
        corner = load(above, 0)
        left = _add(load(row, 0), corner)
        store(row, 0, left)
        before = lower = _zeros()
        for at in range(step, row.shape[0], step):
            lower = _add(load(below, at - step), _nearest(lower, left, before))
            store(below, at - step, lower)
            before = left
            up = load(above, at)
            left = _add(load(row, at), _nearest(left, up, corner))
            store(row, at, left)
            corner = up
        last = row.shape[0] - step
        store(below, last, _add(load(below, last), _nearest(lower, left, before)))

    return undo


@cache
def unfilter_rows_of(step: int) -> Callable[[Bytes, Bytes], bool]:
    """Return the loop over a band of rows whose pixels have 1, 2, 3, 4, 6 or 8 bytes.

    It takes ``band``, ``((1 + rows) * (1 + row_bytes) + PAD_BYTES,)`` uint8: the row above the
    band, the band's filtered rows, each with a byte for the filter in front, and bytes that may
    be read. Rows are unfiltered in place, and the last one becomes the row above.

    Their samples go to ``out``, ``(rows, samples_of_a_row)``, uint8 or uint16. False is returned
    if a filter is none that there is; the rows behind it are not written.
    """
    undo_one, undo_two = _one_row_of(step), _two_rows_of(step)

    @jit
    def unfilter_rows(band: Bytes, out: Bytes) -> bool:
        rows = out.shape[0]
        stride = (band.shape[0] - PAD_BYTES) // (rows + 1)
        done = 0
        for y in range(rows):
            start = (y + 1) * stride
            above, row = band[start + 1 - stride : start], band[start + 1 : start + stride]
            kind = band[start]
            if kind > PAETH:
                return False
            if y == done and kind == PAETH and y + 1 < rows and band[start + stride] == PAETH:
                undo_two(row, band[start + stride + 1 : start + 2 * stride], above)
                done = y + 2
            elif y == done:
                undo_one(row, above, kind)
                done = y + 1
            if out.itemsize == 1:
                copy_row(out[y], row)
            else:
                _join(out[y], row)
        copy_row(band[1:stride], band[1 + rows * stride : (1 + rows) * stride])
        return True

    return unfilter_rows


def kernel_of(step: int) -> Any:
    """Return a function that undoes filters at addresses, for whoever calls from C.

    Its ``shape`` has rows, row bytes and the bytes of a sample, int64; ``result`` is one byte,
    which becomes 1 if every filter is one that there is. The last three are not used.
    """
    unfilter_rows = unfilter_rows_of(step)

    def kernel(  # type: ignore[no-untyped-def]
        band, out, result, shape, _fifth, _sixth, _seventh
    ) -> None:
        counts = carray(shape, 3, np.int64)
        rows, row_bytes = counts[0], counts[1]
        filtered = carray(band, (rows + 1) * (row_bytes + 1) + PAD_BYTES, uint8)
        if counts[2] == 1:
            is_known = unfilter_rows(filtered, carray(out, (rows, row_bytes), uint8))
        else:
            is_known = unfilter_rows(filtered, carray(out, (rows, row_bytes // 2), uint16))
        carray(result, 1, uint8)[0] = is_known

    return kernel
