"""Zlib streams, by libraries that are faster than zlib.

Of 2 megapixels, isal's deflate takes 16 ms at its level 1, and libdeflate's 100 ms at its level 7;
`cv2.imencode` takes 60 ms for a larger file than any of them, libpng at its level 6 takes 430 ms
for about what libdeflate makes. Of isal's levels, 2 is 1 % smaller and 8 % slower than 1, and 3 no
smaller but up to five times slower on graphics.
"""

from __future__ import annotations

import deflate
import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from imgbatch.recipe import PngLevel

_ISAL_LEVEL, _LIBDEFLATE_LEVEL = 1, 7
_FEWEST_BYTES = 2**13
"""Below 4 KiB isal narrows its table of hashes and leaves some of it as memory happens to be, so
that one picture in a hundred with up to 500 bytes became another file in another process."""


def deflate_bytes(raw: npt.NDArray[np.uint8] | bytes, level: PngLevel) -> bytes:
    """Return a zlib stream of the bytes, the same in every process."""
    size_bytes = raw.nbytes if isinstance(raw, np.ndarray) else len(raw)
    if level is PngLevel.SMALL or size_bytes < _FEWEST_BYTES:
        return bytes(deflate.zlib_compress(raw, _LIBDEFLATE_LEVEL))
    return isal_zlib.compress(raw, _ISAL_LEVEL)
