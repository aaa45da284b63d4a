"""How an image is given to a kernel: whole, in bands for threads, or staged a few rows at a time."""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from imgbatch_kernels.arguments import same_samples
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


class Work(NamedTuple):
    """What is the same for every band of an image."""

    call: Callable[..., None]
    steps: Any
    image: NDArray[Any]
    out: NDArray[Any]
    samples: int
    channels: int
    has_alpha: bool
    in_place: bool
    is_direct: bool


def adjust_image(
    image: NDArray[Any], out: NDArray[Any], coefficients: Coefficients, threads: int
) -> None:
    """Adjust a checked image into a checked output, by up to so many threads.

    Each thread runs a kernel, which holds no lock, over a band of rows. They are plain Python
    threads that end with the call: Numba's own parallel loops are undone by a fork, abort when
    two Python threads enter them on its workqueue layer, and took 1.5 s longer to compile.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    height, samples = image.shape[0], image.shape[1] * channels
    work = Work(
        call=kernel(image.dtype.name),
        steps=_lanes(coefficients, image.itemsize),
        image=image,
        out=out,
        samples=samples,
        channels=channels,
        has_alpha=channels in {2, 4},
        in_place=same_samples(out, image),
        is_direct=_has_solid_rows(image, samples) and _has_solid_rows(out, samples),
    )
    count = min(threads, height, height * samples // SAMPLES_PER_BAND) or 1
    if count == 1:
        _adjust_band(work, 0, height, *_halo(work, 0, height))
        return
    edges = [height * i // count for i in range(count + 1)]
    # All halos before any band: in place, a band changes the rows that its neighbours look at.
    bands = [(a, b, *_halo(work, a, b)) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    _run_all([lambda band=band: _adjust_band(work, *band) for band in bands])


@lru_cache(maxsize=256)
def _lanes(coefficients: Coefficients, sample_bytes: int) -> Any:
    """Return the coefficients as a C array of the lanes' type, split as the loops want them."""
    lane = ctypes.c_int16 if sample_bytes == 1 else ctypes.c_int32
    slope, offset, weight = coefficients
    return (lane * 5)(*divmod(slope, 256), *divmod(offset, 256), weight)


def _has_solid_rows(image: NDArray[Any], samples: int) -> bool:
    """Whether the samples of a row follow each other, and rows follow each other upwards."""
    flags = image.flags
    if flags.c_contiguous:
        return bool(flags.aligned)
    size = image.itemsize
    inner = size * (image.shape[2] if image.ndim == 3 else 1)
    return bool(
        flags.aligned
        and (image.ndim == 2 or image.shape[2] == 1 or image.strides[2] == size)
        and (image.shape[1] == 1 or image.strides[1] == inner)
        and (image.shape[0] == 1 or image.strides[0] >= samples * size)
        and image.strides[0] % size == 0
    )


def _halo(work: Work, first: int, last: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows above and below a band; the border reflects, without the edge itself."""
    height = work.image.shape[0]
    above = first - 1 if first > 0 else min(1, height - 1)
    below = last if last < height else max(height - 2, 0)
    rows = work.image[above], work.image[below]
    if work.in_place or not work.is_direct:
        return rows[0].copy(), rows[1].copy()
    return rows


def _adjust_band(
    work: Work, first: int, last: int, above: NDArray[Any], below: NDArray[Any]
) -> None:
    """Adjust the rows from `first` up to, not including, `last`."""
    if work.is_direct:
        source, target = work.image[first:last], work.out[first:last]
        _call(work, source, target, above, below)
        return
    row_bytes = work.samples * work.image.itemsize
    most = min(max(STAGE_BYTES // row_bytes, 1), last - first)
    stage = np.empty((most + 2, *work.image.shape[1:]), work.image.dtype)
    stage[0] = above
    for start in range(first, last, most):
        count = min(most, last - start)
        end = start + count
        stage[1 : count + 1] = work.image[start:end]
        stage[count + 1] = work.image[end] if end < last else below
        seam = stage[count].copy()
        rows = stage[1 : count + 1]
        _call(work, rows, rows, stage[0], stage[count + 1])
        work.out[start:end] = rows
        stage[0] = seam


def _call(
    work: Work,
    source: NDArray[Any],
    target: NDArray[Any],
    above: NDArray[Any],
    below: NDArray[Any],
) -> None:
    """Call the kernel on arrays with solid rows."""
    size = source.itemsize
    scratch = np.empty(scratch_samples(work.samples) * size + VECTOR_SAMPLES, np.uint8)
    shape = _Shape(
        source.shape[0],
        work.samples,
        work.channels,
        source.strides[0] // size,
        target.strides[0] // size,
        work.has_alpha,
        work.in_place or source is target,
        scratch_pitch(work.samples),
    )
    aligned = -(-_address(scratch) // VECTOR_SAMPLES) * VECTOR_SAMPLES
    work.call(
        _address(source),
        _address(target),
        _address(above),
        _address(below),
        aligned,
        shape,
        work.steps,
    )


def _address(array: NDArray[Any]) -> int:
    address: int = array.ctypes.data
    return address


def _run_all(tasks: list[Callable[[], None]]) -> None:
    """Run the first task in this thread, the others in threads of their own; wait for all."""
    failures: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [
        threading.Thread(target=guarded, args=(task,), name="imgbatch-band", daemon=True)
        for task in tasks[1:]
    ]
    for thread in threads:
        thread.start()
    guarded(tasks[0])
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
