"""The row filters ready to be called, without importing numba where they were compiled before.

Numba takes 0.12 to 0.29 s to import, in each worker; the machine code it makes of `png_filters`
and `png_unfilter` needs nothing of it. So the code is kept where the kernels keep theirs, by the
same rules: a checksum, no pickle, made anew if it is damaged or anything it depends on has
changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imgbatch_kernels import cache, compiled, identity, native

NONE, SUB, UP, AVERAGE, PAETH, ADAPTIVE = range(6)
"""PNG's five filters by their numbers, and the choice of one for each row."""

PAD_BYTES = 8
"""What `unfilter_rows` may read behind the last row."""

_SYMBOL = "imgbatch_png_filter"
_SOURCES = ("png_filters.py", "png_lanes.py", "png_native.py", "png_unfilter.py")

Rows = npt.NDArray[np.uint8]


def filter_rows(rows: Rows, out: Rows, scratch: Rows, step: int, kind: int) -> None:
    """Filter every row; see `png_filters.filter_rows` for the parameters."""
    if not compiled.is_executable():
        from imgbatch_kernels import reference

        reference.filter_rows(rows, out, step, kind)
        return
    if native.is_interpreted():
        from imgbatch.images import png_filters

        with np.errstate(over="ignore"):  # differences are taken modulo 256
            png_filters.filter_rows(rows, out, scratch, step, kind)
        return
    shape = np.array((*rows.shape, step, kind), np.int64)
    _run(_kernel(), rows, out, scratch, shape)


def unfilter_rows(band: Rows, out: npt.NDArray[Any], step: int) -> bool:
    """Undo the filters of a band of rows; see `png_unfilter.unfilter_rows_of`.

    Raises
    ------
    ValueError
        If the sizes of `band` and `out` do not belong together.
    """
    rows, row_bytes = out.shape[0], out.shape[1] * out.itemsize
    if band.shape != ((rows + 1) * (row_bytes + 1) + PAD_BYTES,) or row_bytes % step:
        raise ValueError(f"a band of {band.size} bytes has not {out.shape} samples")
    if native.is_interpreted():
        from imgbatch.images import png_unfilter

        with np.errstate(over="ignore"):  # sums are taken modulo 256
            return png_unfilter.unfilter_rows_of(step)(band, out)
    is_known = np.zeros(1, np.uint8)
    shape = np.array((rows, row_bytes, out.itemsize), np.int64)
    _run(_kernel(step), band, out, is_known, shape)
    return bool(is_known[0])


def _run(kernel: Callable[..., None], *arrays: npt.NDArray[Any]) -> None:
    kernel(*(array.ctypes.data for array in arrays), None, None, None)


@functools.cache
def _kernel(step: int | None = None) -> Callable[..., None]:
    """Return what undoes the filters for pixels of so many bytes; without, what filters.

    Each step has a file of its own, since it takes a second to compile, and few are needed.
    """
    return native.kept_or_compiled(_file_name(step), _SYMBOL, partial(_compiled, step))


def _file_name(step: int | None) -> str:
    """Return a name that differs for all that could make the code differ."""
    task = "filter" if step is None else f"unfilter-{step}"
    sources = map(Path(__file__).with_name, _SOURCES)
    return f"png-{task}-{cache.digest_of(sources, identity.versions())}.kernel"


def _compiled(step: int | None) -> Any:
    from numba import cfunc, types

    from imgbatch.images import png_filters, png_unfilter

    source = png_filters.kernel if step is None else png_unfilter.kernel_of(step)
    return cfunc(types.void(*[types.voidptr] * 7), error_model="numpy")(source)
