"""Brightness, contrast and sharpness of 8- and 16-bit images: exact, at the speed of memory.

>>> import numpy as np
>>> from imgbatch_kernels import adjust
>>> adjust(np.array([[10, 20], [30, 40]], np.uint8), brightness=5)
array([[15, 25],
       [35, 45]], dtype=uint8)

The package needs numpy and Numba, and nothing else; `imgbatch_kernels.reference`, the same by
OpenCV, needs cv2 too. Numba itself is imported only where a kernel is not in the cache yet. Where
the system lets no compiled code run, the reference does the work, and a warning
`compiled.NotExecutable` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgbatch_kernels.api import adjust, warm_up

__all__ = ["adjust", "warm_up"]


def __getattr__(name: str) -> Any:
    # numpy takes 50 ms to import, which a program that only asks `compiled` should not pay.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from imgbatch_kernels import api

    return getattr(api, name)
