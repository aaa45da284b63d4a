"""Brightness, contrast and sharpness of 8- and 16-bit images: exact, at the speed of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from imgbatch_kernels.arguments import check_factor, check_image, check_out, check_threads
from imgbatch_kernels.coefficients import coefficients

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["adjust", "warm_up"]


def _halves_to_even(values: NDArray[np.int32], dtype: np.dtype[Any]) -> NDArray[np.int32]:
    whole = values >> 8
    rounded = whole + (((values & 255) + 127 + (whole & 1)) >> 8)
    return np.clip(rounded, 0, np.iinfo(dtype).max)


def adjust(
    image: NDArray[Any],
    *,
    brightness: int = 0,
    contrast: int = 0,
    sharpness: int = 0,
    out: NDArray[Any] | None = None,
    threads: int = 1,
) -> NDArray[Any]:
    """Adjust the brightness, contrast and sharpness of an image."""
    check_image(image)
    factors = (
        check_factor("brightness", brightness),
        check_factor("contrast", contrast),
        check_factor("sharpness", sharpness),
    )
    check_threads(threads)
    if out is None:
        out = np.empty(image.shape, image.dtype)
    else:
        check_out(out, image)
    slope, offset, weight = coefficients(*factors, 8 * image.dtype.itemsize)
    source = image.reshape(*image.shape[:2], -1)
    moved = _halves_to_even(source.astype(np.int32) * slope + offset, image.dtype)
    edges = np.pad(
        moved, ((1, 1), (1, 1), (0, 0)), "reflect" if 1 not in moved.shape[:2] else "edge"
    )
    if 1 in moved.shape[:2]:
        rows = [1 if moved.shape[0] > 1 else 0, *range(moved.shape[0]), max(moved.shape[0] - 2, 0)]
        columns = [
            1 if moved.shape[1] > 1 else 0,
            *range(moved.shape[1]),
            max(moved.shape[1] - 2, 0),
        ]
        edges = moved[rows][:, columns]
    around = edges[:-2, 1:-1] + edges[2:, 1:-1] + edges[1:-1, :-2] + edges[1:-1, 2:]
    result = _halves_to_even(256 * moved + weight * (4 * moved - around), image.dtype)
    if source.shape[2] in (2, 4):
        result[..., -1] = source[..., -1]
    np.copyto(out, result.astype(image.dtype).reshape(image.shape))
    return out


def warm_up() -> None:
    """Make every kernel ready."""
