"""Memory that a worker keeps from image to image.

A fresh array of 36 MB costs 9,000 page faults, about a tenth of the time it takes to decode
a photograph into it; a kept one costs them once.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from imgbatch.images.picture import Pixels, Shape

LARGEST_KEPT_BYTES = 256 * 2**20


class Buffers:
    """Named arrays that grow to the largest image and stay.

    One per worker; not thread-safe. An array that `get` returned is valid until the next `get`
    of the same name. Nothing above `LARGEST_KEPT_BYTES` is kept, so one giant in a batch does
    not cost its memory until the end.
    """

    def __init__(self) -> None:
        self._kept: dict[str, npt.NDArray[np.uint8]] = {}

    def get(self, name: str, shape: Shape) -> Pixels:
        """Return an uninitialised array of this shape, in the memory kept under `name`."""
        dtype = np.dtype(np.uint8 if shape.bits_per_sample == 8 else np.uint16)
        memory = self.bytes_of(name, (shape.size_bytes,))
        return memory.view(dtype).reshape(shape.array_shape)

    def bytes_of(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return an uninitialised array of bytes, in the memory kept under `name`."""
        size_bytes = math.prod(shape)
        memory = self._kept.get(name)
        if memory is None or memory.size < size_bytes:
            self._kept.pop(name, None)
            memory = np.empty(size_bytes, np.uint8)
            if size_bytes <= LARGEST_KEPT_BYTES:
                self._kept[name] = memory
        return memory[:size_bytes].reshape(shape)
