"""What `adjust` accepts, and the sentence that says so when it is given something else."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from imgbatch_kernels.coefficients import RANGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))
_OVERLAP_SEARCH_STEPS = 10_000
"""Bound on the exact search for shared memory, which is exponential in the worst case."""


def check_factor(name: str, value: object) -> int:
    """Return a factor as an int.

    Raises
    ------
    TypeError
        If it is no whole number (booleans are not).
    ValueError
        If it is out of its range.
    """
    lowest, highest = RANGES[name]
    number = _whole_number(name, value, f"from {lowest} to {highest}")
    if not lowest <= number <= highest:
        raise ValueError(f"{name} is {number}; it takes a whole number from {lowest} to {highest}")
    return number


def check_threads(value: object) -> int:
    """Return the number of threads as an int, at least 1."""
    number = _whole_number("threads", value, "from 1 upwards")
    if number < 1:
        raise ValueError(f"threads is {number}; it takes a whole number from 1 upwards")
    return number


def _whole_number(name: str, value: object, accepted: str) -> int:
    if type(value) is int:
        return value
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError  # True has an index, but is no amount
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{name} is {value!r} ({type(value).__name__}); it takes a whole number {accepted}"
        ) from None


def check_image(image: object) -> None:
    """Refuse what is not an image of 8 or 16 bits per sample.

    Raises
    ------
    TypeError
        If it is no array, or its samples are neither uint8 nor uint16 in native byte order.
    ValueError
        If it is empty, or its shape is not (H, W) or (H, W, 1..4).
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image is a {type(image).__name__}; it takes a numpy array")
    if image.dtype not in _DTYPES:
        raise TypeError(
            f"image has dtype {image.dtype.str!r} ({image.dtype}); "
            "it takes uint8 or uint16 in native byte order"
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and not 1 <= image.shape[2] <= 4):
        raise ValueError(f"image has shape {image.shape}; it takes (H, W) or (H, W, C), C = 1..4")
    if image.size == 0:
        raise ValueError(f"image has shape {image.shape}; it takes at least one row and column")


def check_out(out: object, image: NDArray[Any]) -> None:
    """Refuse an output that can't take the result, or that would spoil the input.

    Raises
    ------
    TypeError
        If it is no array, or has another dtype than the image.
    ValueError
        If its shape differs, it is read-only, several of its samples share one place in memory,
        or it shares memory with the image without being the same samples in the same order.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; it takes a numpy array or None")
    if out.dtype != image.dtype:
        raise TypeError(f"out has dtype {out.dtype}; it takes the image's, {image.dtype}")
    if out.shape != image.shape:
        raise ValueError(f"out has shape {out.shape}; it takes the image's, {image.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only; it takes an array that can be written")
    if not out.flags.c_contiguous and any(
        step == 0 and count > 1 for step, count in zip(out.strides, out.shape, strict=True)
    ):
        raise ValueError("out repeats samples (a stride of 0); it takes distinct ones")
    if out is not image and _overlap(out, image) and not same_samples(out, image):
        raise ValueError(
            "out shares memory with image but is not the same samples in the same order; "
            "it takes image itself, or memory of its own"
        )


def same_samples(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays of one shape and dtype are the same memory in the same order."""
    return one is other or (
        one.strides == other.strides
        and one.__array_interface__["data"][0] == other.__array_interface__["data"][0]
    )


def _overlap(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if not np.may_share_memory(one, other):
        return False
    try:
        return np.shares_memory(one, other, max_work=_OVERLAP_SEARCH_STEPS)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
