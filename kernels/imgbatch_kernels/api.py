"""The two functions that the package is there for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgbatch_kernels.arguments import check_factors, check_image, check_integer, check_out
from imgbatch_kernels.coefficients import coefficients_of
from imgbatch_kernels.compiled import is_executable, kernel
from imgbatch_kernels.loops import KERNELS
from imgbatch_kernels.threads import adjust_image, adjust_in_place


def adjust(
    image: NDArray[Any],
    *,
    brightness: int = 0,
    contrast: int = 0,
    sharpness: int = 0,
    out: NDArray[Any] | None = None,
    threads: int = 1,
) -> NDArray[Any]:
    """Adjust the brightness, contrast and sharpness of an image.

    First brightness and contrast, ``v * slope + offset``; then sharpness, a 3x3 kernel over the
    result, in which the border reflects (101: the edge is not repeated). Each step saturates and
    rounds halves to even. The result is, bit for bit, that of `reference.adjust`.

    Parameters
    ----------
    image
        uint8 or uint16; (H, W), (H, W, 1) for grey, (H, W, 2) for grey and alpha, (H, W, 3) for
        colours in any order, (H, W, 4) for colours and alpha. Alpha, the last of 2 or 4 channels,
        comes out as it went in. Any strides; may be read-only; is not changed unless it is `out`.
    brightness
        -100..100: levels of 255 that are added (of 65535: times 257).
    contrast
        -100..100: the slope about mid-grey, 128 or 32768, is ``1 + 2 * contrast / 100`` from 0
        upwards and ``1 + contrast / 100`` below, rounded to the nearest 1/256.
    sharpness
        0..100: the weight of each of the four neighbours in percent, rounded to the nearest
        1/256; that of the centre is 1 and four times as much more.
    out
        Where the result goes: an array of the image's shape and dtype, with any strides. It may
        be the image itself, and must not share memory with it otherwise. Where image or `out` is
        not in C order, the pixels are copied once more.
    threads
        At most so many threads; the result does not depend on it. Fewer are used for an image
        that would not be done sooner, and one for an image that is copied or adjusted in place.

    Returns
    -------
        `out`, or a new array in C order.

    Raises
    ------
    TypeError
        If a factor is not an integer, the image not an array of uint8 or uint16, or `out` of
        another dtype.
    ValueError
        If a factor is out of range, the image empty or of another shape, or `out` read-only, of
        another shape, or sharing memory with the image without being the same.
    """
    check_image(image)
    factors = check_factors(brightness, contrast, sharpness)
    coefficients = coefficients_of(*factors, 8 * image.dtype.itemsize)
    threads = check_integer("threads", threads, 1, None)
    is_in_place = out is not None and check_out(out, image)
    if out is None:
        out = np.empty(image.shape, image.dtype)
    if not (coefficients.has_point_step or coefficients.weight):
        if not is_in_place:
            np.copyto(out, image)
    elif not is_executable():
        from imgbatch_kernels import reference

        chosen = {"brightness": brightness, "contrast": contrast, "sharpness": sharpness}
        np.copyto(out, reference.adjust(image, **chosen))
    else:
        target = out if _is_plain(out) else np.empty(image.shape, image.dtype)
        if _is_plain(image) and not is_in_place:
            adjust_image(image, target, coefficients, threads)
        else:
            if not is_in_place or target is not out:
                np.copyto(target, image)
            adjust_in_place(target, coefficients)
        if target is not out:
            np.copyto(out, target)
    return out


def _is_plain(array: NDArray[Any]) -> bool:
    """Whether a kernel may read or write an array where it is."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def warm_up() -> None:
    """Make all kernels ready: compile them and keep them, or load them if they are kept already.

    Compiling takes about 7 s, loading 0.04 s. Call it once before starting workers, so
    that each of them only has to load; without it, each kernel is compiled when it is first needed.
    It may be called again, from any thread, and from several processes at once.
    """
    if is_executable():
        for name in KERNELS:
            kernel(name)
