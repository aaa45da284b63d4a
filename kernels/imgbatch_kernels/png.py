"""PNG's row filters (W3C PNG, section 9) on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgbatch_kernels.compiled import is_executable, kernel
from imgbatch_kernels.loops import ADAPTIVE, AVERAGE, NONE, PAETH, PIXEL_BYTES, SUB, UP

__all__ = ["ADAPTIVE", "AVERAGE", "NONE", "PAETH", "SUB", "UP", "filter_rows", "unfilter_rows"]


def filter_rows(
    rows: NDArray[np.uint8], out: NDArray[np.uint8], pixel_bytes: int, kind: int
) -> None:
    """Apply a filter to every row.

    Parameters
    ----------
    rows
        (height, row_bytes) uint8, in C order, samples big-endian.
    out
        (height, 1 + row_bytes) uint8, in C order: each row with its filter in front.
    pixel_bytes
        1, 2, 3, 4, 6 or 8: from a sample to the same one of the pixel on its left.
    kind
        0..4, the filter, or `ADAPTIVE`: for each row the one whose output is nearest to zero.

    Raises
    ------
    ValueError
        If the arrays do not belong together, or there is no such filter.
    """
    height, row_bytes = rows.shape
    if out.shape != (height, row_bytes + 1) or row_bytes % pixel_bytes or kind not in range(6):
        raise ValueError(f"rows of {rows.shape} bytes are not filtered into {out.shape} by {kind}")
    if not is_executable():
        from imgbatch_kernels import reference

        reference.filter_rows(rows, out, pixel_bytes, kind)
        return
    shape = np.array((height, row_bytes, pixel_bytes, kind), np.int64)
    _run("png-filter", rows, out, np.empty(2 * row_bytes, np.uint8), shape)


def unfilter_rows(band: NDArray[np.uint8], out: NDArray[Any], pixel_bytes: int) -> bool:
    """Undo the filters of a band of rows.

    Parameters
    ----------
    band
        ``((1 + rows) * (1 + row_bytes),)`` uint8: the row above the band, and the band's filtered
        rows, each with a byte for the filter in front. It is changed: its last row becomes the row
        above, as the next band wants it.
    out
        (rows, samples of a row) uint8 or uint16, in C order: where the samples go.
    pixel_bytes
        1, 2, 3, 4, 6 or 8.

    Returns
    -------
        False if a filter is none that there is; the rows behind it are not written.

    Raises
    ------
    ValueError
        If the arrays do not belong together.
    """
    rows, row_bytes = out.shape[0], out.shape[1] * out.itemsize
    if (
        band.shape != ((rows + 1) * (row_bytes + 1),)
        or pixel_bytes not in PIXEL_BYTES
        or row_bytes % pixel_bytes
    ):
        raise ValueError(f"a band of {band.size} bytes has not {out.shape} samples")
    is_known = np.empty(1, np.uint8)
    shape = np.array((rows, row_bytes), np.int64)
    _run(f"png-unfilter-{pixel_bytes}", band, out, shape, is_known)
    if out.itemsize == 2:  # big-endian so far; four times as fast as `byteswap`
        out[:] = out.view(out.dtype.newbyteorder(">"))
    return bool(is_known[0])


def _run(name: str, *arrays: NDArray[Any]) -> None:
    if not all(array.flags.c_contiguous for array in arrays):
        raise ValueError("the arrays have to be in C order")
    kernel(name)(*(array.ctypes.data for array in arrays))
