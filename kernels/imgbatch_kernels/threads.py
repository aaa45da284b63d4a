"""How an image is given to a kernel: whole, or in bands of rows for several threads.

They are plain Python threads, and the kernels hold no lock. Numba's own parallel loops do not
survive a fork, abort when two Python threads enter them on its workqueue layer, and can't be kept
as plain code. Helping threads stay for the next call: started for each, a thread takes 65 µs and
often begins on the caller's own core (12 megapixels took 2.7 to 4.7 ms on two cores, 4.7 on one);
one that only waits begins at once (2.5 ms).
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from imgbatch_kernels.compiled import kernel
from imgbatch_kernels.loops import VECTOR_SAMPLES, scratch_pitch, scratch_samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

    from numpy.typing import NDArray

    from imgbatch_kernels.coefficients import Coefficients

SAMPLES_PER_BAND = 1_000_000
"""So many samples of uint8 take about 120 µs; a helping thread begins after about 100 µs."""

BANDS_PER_THREAD = 8
"""How finely the work is shared out, so that all threads end at nearly the same time."""

COPIED_BYTES = 2**20
"""How much of an image that is adjusted in place is copied at a time; it stays in the caches."""

_thread = threading.local()


def adjust_image(
    image: NDArray[Any], out: NDArray[Any], coefficients: Coefficients, threads: int
) -> None:
    """Adjust an image into an output, by up to so many threads.

    Parameters
    ----------
    image, out
        uint8 or uint16, (H, W) or (H, W, 1..4), in C order, aligned; they share no memory.
    coefficients
        For their depth.
    threads
        At least 1; fewer are used for an image that would not be done sooner.
    """
    height, adjust = image.shape[0], _kernel_of(image, coefficients)
    source, target, step = _address(image), _address(out), image[0].nbytes

    def adjust_band(first: int, last: int) -> None:
        # At the border, rows reflect (101).
        above = first - 1 if first else min(1, height - 1)
        below = last if last < height else max(height - 2, 0)
        adjust(
            source + first * step,
            target + first * step,
            source + above * step,
            source + below * step,
            last - first,
        )

    if threads == 1:
        adjust_band(0, height)
        return
    count = min(height, image.size // SAMPLES_PER_BAND, threads * BANDS_PER_THREAD)
    bands = list(pairwise(height * i // max(1, count) for i in range(max(1, count) + 1)))
    run_all(adjust_band, bands, min(threads, len(bands)))


def adjust_in_place(image: NDArray[Any], coefficients: Coefficients) -> None:
    """Adjust an image that is in C order and aligned, a copy of some rows at a time.

    Where each row is written over the one that has just been read, the processor loses track of
    the stream: 5.8 ms for 12 megapixels. From a copy that its caches hold, it takes 4.7, and into
    another array 4.5.
    """
    height, step = image.shape[0], image[0].nbytes
    most_rows = min(height, max(1, COPIED_BYTES // step))
    band = np.empty((1 + most_rows, *image.shape[1:]), image.dtype)
    target, copy = _address(image), _address(band)
    adjust = _kernel_of(image, coefficients)
    for first in range(0, height, most_rows):
        rows = min(most_rows, height - first)
        last = first + rows
        band[0] = band[most_rows]  # the last row of the band before, as it was
        band[1 : 1 + rows] = image[first:last]
        reflected = rows - 1 if height > 1 else 1
        adjust(
            copy + step,
            target + first * step,
            copy if first else target + min(1, height - 1) * step,
            target + last * step if last < height else copy + reflected * step,
            rows,
        )


def _kernel_of(image: NDArray[Any], coefficients: Coefficients) -> Callable[..., None]:
    """Return the kernel for rows of an image: from and to addresses, beside rows, so many rows."""
    channels = image.shape[2] if image.ndim == 3 else 1
    samples = image.shape[1] * channels
    adjust = kernel("adjust-uint8" if image.itemsize == 1 else "adjust-uint16")
    lanes = _lanes(coefficients, image.itemsize)

    def adjust_rows(source: int, target: int, above: int, below: int, rows: int) -> None:
        scratch = _scratch(scratch_samples(samples) * image.itemsize)
        adjust(source, target, above, below, scratch, _shape(rows, samples, channels), lanes)

    return adjust_rows


def _address(array: NDArray[Any]) -> int:
    """Return where the first sample is; through the buffer, if there is one, in 0.3 µs, not 0.9."""
    if array.flags.writeable:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    return array.ctypes.data


@lru_cache(maxsize=256)
def _lanes(coefficients: Coefficients, sample_bytes: int) -> Any:
    """Return the coefficients as a C array of the lanes' type, split as the loops want them."""
    lane = ctypes.c_int16 if sample_bytes == 1 else ctypes.c_int32
    slope, offset, weight = coefficients
    return (lane * 5)(*divmod(slope, 256), *divmod(offset, 256), weight)


@lru_cache(maxsize=256)
def _shape(height: int, samples: int, channels: int) -> Any:
    """Return the geometry of a band as the C array that `loops.adjust_image` describes."""
    return (ctypes.c_int64 * 4)(height, samples, channels, scratch_pitch(samples))


def _scratch(size_bytes: int) -> int:
    """Return the address, divisible by 128, of memory that is this thread's own."""
    buffer: NDArray[np.uint8] | None = getattr(_thread, "buffer", None)
    if buffer is None or buffer.size < size_bytes + VECTOR_SAMPLES:
        buffer = _thread.buffer = np.empty(size_bytes + VECTOR_SAMPLES, np.uint8)
        _thread.address = -(-buffer.ctypes.data // VECTOR_SAMPLES) * VECTOR_SAMPLES
    address: int = _thread.address
    return address


def run_all(run: Callable[..., None], parts: list[tuple[Any, ...]], threads: int) -> None:
    """Run all parts, here and on up to `threads` - 1 helpers, and return when all are done.

    Each thread takes the next part when it has done one, so a helper that begins late, or is slow
    because its core has other work, delays nothing, and helpers may be busy with other callers. An
    error in any part is raised when no part runs any more.
    """
    remaining = iter(parts)

    def take_parts() -> None:
        for part in remaining:
            run(*part)

    futures = [_submit(take_parts) for _ in range(threads - 1)]
    try:
        take_parts()
    finally:
        begun = [future for future in futures if future is not None and not future.cancel()]
        failures = [future.exception() for future in begun]
    for failure in failures:
        if failure is not None:
            raise failure


def _submit(call: Callable[[], None]) -> Future[None] | None:
    try:
        return _helpers(os.getpid()).submit(call)
    except RuntimeError:  # the interpreter is ending, and starts no thread any more
        return None


@lru_cache(maxsize=1)
def _helpers(_process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: a forked child has none of its parent's."""
    from concurrent.futures import ThreadPoolExecutor  # most callers want one thread, and not this

    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="imgbatch-helper")
