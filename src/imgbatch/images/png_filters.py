"""PNG's row filters (W3C PNG, section 9), over whole rows so that they vectorise.

Only imported when a PNG is written: it brings in numba.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint8
from numba import types as nb

NONE, SUB, UP, AVERAGE, PAETH = range(5)

_ROWS = nb.Array(uint8, 2, "C")
_CONST_ROWS = nb.Array(uint8, 2, "C", readonly=True)


@njit(cache=True, nogil=True)
def filter_rows(rows: np.ndarray, step: int, kind: int, out: np.ndarray) -> None:
    """Filter every row by one filter.

    Parameters
    ----------
    rows
        ``(height, row_bytes)`` uint8, big-endian samples.
    step
        Bytes from a sample to the same one of the pixel to its left.
    kind
        0..4, the filter.
    out
        ``(height, 1 + row_bytes)`` uint8: each row with its filter in front.
    """
    height, width = rows.shape
    above = np.zeros(width, np.uint8)
    for y in range(height):
        row = rows[y]
        target = out[y]
        target[0] = kind
        if kind == NONE:
            target[1:] = row
        elif kind == SUB:
            target[1 : 1 + step] = row[:step]
            target[1 + step :] = row[step:] - row[:-step]
        elif kind == UP:
            target[1:] = row - above
        above = row
