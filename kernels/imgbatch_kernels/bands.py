"""How an image is given to a kernel: whole, in bands for threads, or staged some rows at a time."""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from imgbatch_kernels.layout import VECTOR_SAMPLES, scratch_pitch, scratch_samples
from imgbatch_kernels.native import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from imgbatch_kernels.coefficients import Coefficients

SAMPLES_PER_BAND = 500_000
"""A thread takes about 50 µs to start and end; so many samples of uint8 take about 60 µs."""

STAGE_BYTES = 256 * 1024
"""Rows that do not lie one sample after the other pass through a buffer of this size: in L2."""

_Shape = ctypes.c_int64 * 8
_thread = threading.local()


class Work(NamedTuple):
    """What is the same for every band of an image."""

    call: Callable[..., None]
    steps: Any
    image: NDArray[Any]
    out: NDArray[Any]
    source_address: int
    target_address: int
    samples: int
    channels: int


class Rows(NamedTuple):
    """Rows in memory, each of them without gaps."""

    address: int
    step_bytes: int


def adjust_image(
    image: NDArray[Any], out: NDArray[Any], coefficients: Coefficients, threads: int
) -> None:
    """Adjust a checked image into a checked output, by up to so many threads.

    Each thread runs a kernel, which holds no lock, over a band of rows. They are plain Python
    threads that end with the call. Numba's own parallel loops do not survive a fork, abort when
    two Python threads enter them on its workqueue layer, and can't be kept as plain code.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    height, samples = image.shape[0], image.shape[1] * channels
    work = Work(
        kernel("uint8" if image.itemsize == 1 else "uint16"),
        _lanes(coefficients, image.itemsize),
        image,
        out,
        image.ctypes.data,
        out.ctypes.data,
        samples,
        channels,
    )
    count = 1 if threads == 1 else min(threads, height, height * samples // SAMPLES_PER_BAND)
    edges = [height * i // count for i in range(count + 1)] if count > 1 else [0, height]
    is_direct = _has_solid_rows(image, samples) and _has_solid_rows(out, samples)
    # In place, a band changes the rows its neighbours look at: all halos before any band.
    needs_halo = not is_direct or work.source_address == work.target_address
    _run_all(
        _adjust_direct if is_direct else _adjust_staged,
        [(work, a, b, _halo(image, a, b) if needs_halo else None) for a, b in pairwise(edges)],
    )


@lru_cache(maxsize=256)
def _lanes(coefficients: Coefficients, sample_bytes: int) -> Any:
    """Return the coefficients as a C array of the lanes' type, split as the loops want them."""
    lane = ctypes.c_int16 if sample_bytes == 1 else ctypes.c_int32
    slope, offset, weight = coefficients
    return (lane * 5)(*divmod(slope, 256), *divmod(offset, 256), weight)


def _has_solid_rows(image: NDArray[Any], samples: int) -> bool:
    """Whether the samples of a row follow each other, and rows follow each other upwards."""
    flags = image.flags
    if not flags.aligned:
        return False
    if flags.c_contiguous:
        return True
    size = image.itemsize
    pixel = size * (image.shape[2] if image.ndim == 3 else 1)
    return bool(
        (image.ndim == 2 or image.shape[2] == 1 or image.strides[2] == size)
        and (image.shape[1] == 1 or image.strides[1] == pixel)
        and (image.shape[0] == 1 or image.strides[0] >= samples * size)
        and image.strides[0] % size == 0
    )


def _neighbours(height: int, first: int, last: int) -> tuple[int, int]:
    """Return which rows stand above and below a band; at the border they reflect (101)."""
    above = first - 1 if first else min(1, height - 1)
    return above, last if last < height else max(height - 2, 0)


def _halo(image: NDArray[Any], first: int, last: int) -> NDArray[Any]:
    """Copy the rows above and below a band."""
    halo = np.empty((2, *image.shape[1:]), image.dtype)
    halo[0], halo[1] = (image[row] for row in _neighbours(image.shape[0], first, last))
    return halo


def _adjust_direct(work: Work, first: int, last: int, halo: NDArray[Any] | None) -> None:
    """Adjust the rows from `first` up to, not including, `last`, where they are."""
    source_step, target_step = work.image.strides[0], work.out.strides[0]
    source = Rows(work.source_address + first * source_step, source_step)
    target = Rows(work.target_address + first * target_step, target_step)
    if halo is None:
        above, below = (
            work.source_address + row * source_step
            for row in _neighbours(work.image.shape[0], first, last)
        )
    else:
        above = halo.ctypes.data
        below = above + halo.strides[0]
    _call(work, last - first, source, target, (above, below))


def _adjust_staged(work: Work, first: int, last: int, halo: NDArray[Any]) -> None:
    """Adjust rows by way of a buffer in which they have no gaps: a few rows, and their halo."""
    image, out = work.image, work.out
    most = min(max(STAGE_BYTES // (work.samples * image.itemsize), 1), last - first)
    stage = np.empty((most + 2, *image.shape[1:]), image.dtype)
    address, step = stage.ctypes.data, stage.strides[0]
    rows = Rows(address + step, step)
    stage[0] = halo[0]
    for start in range(first, last, most):
        count = min(most, last - start)
        end = start + count
        stage[1 : count + 1] = image[start:end]
        stage[count + 1] = image[end] if end < last else halo[1]
        seam = stage[count].copy()
        _call(work, count, rows, rows, (address, address + (count + 1) * step))
        out[start:end] = stage[1 : count + 1]
        stage[0] = seam


def _call(work: Work, height: int, source: Rows, target: Rows, halo: tuple[int, int]) -> None:
    """Call the kernel on rows of memory; `halo` is the address of the row above, and below."""
    size = work.image.itemsize
    shape = _Shape(
        height,
        work.samples,
        work.channels,
        source.step_bytes // size,
        target.step_bytes // size,
        work.channels in {2, 4},
        source.address == target.address,
        scratch_pitch(work.samples),
    )
    buffer, scratch = _scratch(scratch_samples(work.samples) * size)
    work.call(source.address, target.address, *halo, scratch, shape, work.steps)
    del buffer  # until here it owned the memory at `scratch`


def _scratch(size_bytes: int) -> tuple[NDArray[np.uint8], int]:
    """Return memory that is this thread's own, and the first address in it divisible by 64."""
    buffer: NDArray[np.uint8] | None = getattr(_thread, "buffer", None)
    if buffer is None or buffer.size < size_bytes + VECTOR_SAMPLES:
        buffer = np.empty(size_bytes + VECTOR_SAMPLES, np.uint8)
        _thread.buffer = buffer
        _thread.address = -(-buffer.ctypes.data // VECTOR_SAMPLES) * VECTOR_SAMPLES
    address: int = _thread.address
    return buffer, address


def _run_all(run: Callable[..., None], bands: list[tuple[Any, ...]]) -> None:
    """Run the first band in this thread, the others in threads of their own; wait for all."""
    if len(bands) == 1:
        run(*bands[0])
        return
    failures: list[BaseException] = []

    def guarded(band: tuple[Any, ...]) -> None:
        try:
            run(*band)
        except BaseException as error:  # raised again below
            failures.append(error)

    threads = [
        threading.Thread(target=guarded, args=(band,), name="imgbatch-band", daemon=True)
        for band in bands[1:]
    ]
    for thread in threads:
        thread.start()
    guarded(bands[0])
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
