"""What `adjust` accepts, and the sentence that says so when it is given something else."""

from __future__ import annotations

from contextlib import suppress
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgbatch_kernels.coefficients import FACTOR_RANGES

_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))


def check_factors(brightness: object, contrast: object, sharpness: object) -> list[int]:
    """Return the factors as ints.

    Raises
    ------
    TypeError
        If one is not an integer (booleans are not).
    ValueError
        If one is out of its range.
    """
    given = zip(FACTOR_RANGES.items(), (brightness, contrast, sharpness), strict=True)
    return [check_integer(name, value, *range_) for (name, range_), value in given]


def check_integer(name: str, value: object, lowest: int, highest: int | None) -> int:
    """Return an argument as an int; raises as `check_factors` does."""
    number: int | None = None
    if type(value) is int:
        number = value
    elif not isinstance(value, bool | np.bool_):  # True has an index, but is no amount
        with suppress(TypeError):
            number = index(value)  # type: ignore[arg-type]
    if number is not None and lowest <= number and (highest is None or number <= highest):
        return number
    bound = "upwards" if highest is None else f"to {highest}"
    error = TypeError if number is None else ValueError
    raise error(f"{name} must be an integer from {lowest} {bound}, not {value!r}")


def check_image(image: object) -> None:
    """Refuse what is not an image of 8 or 16 bits per sample.

    Raises
    ------
    TypeError
        If it is not an array, or its samples are neither uint8 nor uint16 in native byte order.
    ValueError
        If it is empty, or its shape is not (H, W) or (H, W, 1..4).
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image must be a numpy array, not a {type(image).__name__}")
    if image.dtype not in _DTYPES:
        raise TypeError(
            f"image must be of uint8 or uint16 in native byte order, not of {image.dtype.str!r}"
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and not 1 <= image.shape[2] <= 4):
        raise ValueError(f"image must have the shape (H, W) or (H, W, 1..4), not {image.shape}")
    if image.size == 0:
        raise ValueError(f"image must have a row and a column; its shape is {image.shape}")


def check_out(out: object, image: NDArray[Any]) -> bool:
    """Refuse an output that can't take the result, or that would spoil the input.

    Returns
    -------
        Whether it is the image itself: the same memory in the same order.

    Raises
    ------
    TypeError
        If it is not an array, or has another dtype than the image.
    ValueError
        If its shape differs, it is read-only, or it shares memory with the image without being
        the same samples in the same order.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array or None, not a {type(out).__name__}")
    if out.dtype != image.dtype:
        raise TypeError(f"out must have the image's dtype, {image.dtype}, not {out.dtype}")
    if out.shape != image.shape:
        raise ValueError(f"out must have the image's shape, {image.shape}, not {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out must be writable; it is read-only")
    if out is image:
        return True
    if not np.shares_memory(out, image):
        return False
    places = [array.__array_interface__["data"][0] for array in (out, image)]
    if out.strides != image.strides or places[0] != places[1]:
        raise ValueError(
            "out must be image itself or share no memory with it; it shares memory, but is not the "
            "same samples in the same order"
        )
    return True
