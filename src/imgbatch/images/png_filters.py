"""PNG's row filters (W3C PNG, section 9), as loops over whole rows so that they vectorise.

This module imports numba, so it is itself imported only when there is something to compile; see
`png_native`. Nothing in it may allocate, raise, or call Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import carray, njit  # type: ignore[attr-defined]
from numpy import int16, uint8, uint16, uint32

from imgbatch.images.png_native import ADAPTIVE, AVERAGE, NONE, PAETH, SUB, UP

Bytes = npt.NDArray[Any]
_Loop = TypeVar("_Loop", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}


def jit(function: _Loop) -> _Loop:
    """Have Numba compile a loop, without all that would call into Python."""
    compiled: _Loop = njit(**_OPTIONS)(function)
    return compiled


@jit
def copy_row(target: Bytes, row: Bytes) -> None:
    """Copy a row; ten times as fast as the assignment of a slice."""
    for i in range(target.shape[0]):
        target[i] = row[i]


@jit
def _difference(target: Bytes, row: Bytes, predicted: Bytes) -> None:
    for i in range(target.shape[0]):
        target[i] = uint8(row[i] - predicted[i])


@jit
def _average(target: Bytes, row: Bytes, left: Bytes, above: Bytes) -> None:
    for i in range(target.shape[0]):
        mean = uint8(uint16(uint16(left[i]) + uint16(above[i])) >> 1)
        target[i] = uint8(row[i] - mean)


@jit
def _paeth(target: Bytes, row: Bytes, left: Bytes, above: Bytes, corner: Bytes) -> None:
    """Predict by whichever neighbour is nearest to left + above - corner; the first if equal."""
    for i in range(target.shape[0]):
        a, b, c = int16(left[i]), int16(above[i]), int16(corner[i])
        to_left = abs(int16(b - c))
        to_above = abs(int16(a - c))
        to_corner = abs(int16(int16(a + b) - int16(c + c)))
        of_two = b if to_above <= to_corner else c
        nearest = a if to_left <= min(to_above, to_corner) else of_two
        target[i] = uint8(int16(row[i]) - nearest)


@jit
def _weight(row: Bytes) -> int:
    """Sum the distances of bytes from 0, counted round the circle of 256."""
    total = uint32(0)
    for i in range(row.shape[0]):
        value = uint8(row[i])
        total = uint32(total + min(value, uint8(0 - value)))
    return int(total)


@jit
def _filter_row(target: Bytes, row: Bytes, above: Bytes, step: int, kind: int) -> None:
    """Filter one row; its first pixel has zeros on its left."""
    head, rest = target[:step], target[step:]
    end = row.shape[0] - step
    if kind == NONE:
        copy_row(target, row)
    elif kind == SUB:
        copy_row(head, row[:step])
        _difference(rest, row[step:], row[:end])
    elif kind == UP:
        _difference(target, row, above)
    elif kind == AVERAGE:
        for i in range(step):
            head[i] = uint8(row[i] - (above[i] >> 1))
        _average(rest, row[step:], row[:end], above[step:])
    else:
        _difference(head, row[:step], above[:step])
        _paeth(rest, row[step:], row[:end], above[step:], above[:end])


@jit
def filter_rows(rows: Bytes, out: Bytes, scratch: Bytes, step: int, kind: int) -> None:
    """Filter every row.

    Parameters
    ----------
    rows
        ``(height, row_bytes)`` uint8, samples big-endian.
    out
        ``(height, 1 + row_bytes)`` uint8: each row with its filter in front.
    scratch
        ``(2, row_bytes)`` uint8; its content does not matter.
    step
        Bytes from a sample to the same one of the pixel on its left.
    kind
        0..4, the filter, or `ADAPTIVE`: for each row the one whose output is nearest to zero.
    """
    above = scratch[0]
    for i in range(above.shape[0]):
        above[i] = 0
    trial = scratch[1]
    for y in range(rows.shape[0]):
        row = rows[y]
        target = out[y, 1:]
        if kind != ADAPTIVE:
            out[y, 0] = kind
            _filter_row(target, row, above, step, kind)
        else:
            lightest = -1
            for candidate in (NONE, SUB, UP, AVERAGE, PAETH):
                _filter_row(trial, row, above, step, candidate)
                weight = _weight(trial)
                if lightest < 0 or weight < lightest:
                    lightest = weight
                    out[y, 0] = candidate
                    copy_row(target, trial)
        above = row


def kernel(  # type: ignore[no-untyped-def]
    rows, out, scratch, shape, _fifth, _sixth, _seventh
) -> None:
    """Filter rows at addresses: `filter_rows` for whoever calls from C.

    ``shape`` has height, row bytes, step and kind, int64. The other three are not used.
    """
    counts = carray(shape, 4, np.int64)
    height, width, step, kind = counts[0], counts[1], counts[2], counts[3]
    filter_rows(
        carray(rows, (height, width), uint8),
        carray(out, (height, width + 1), uint8),
        carray(scratch, (2, width), uint8),
        step,
        kind,
    )
