"""A parity run for a process of its own: for a processor, a cache or a mode of Numba.

Prints how many images were compared and what was loaded; fails on the first that differs.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from imgbatch_kernels import adjust, reference

CHOSEN = [
    {"brightness": 20, "contrast": 15, "sharpness": 60},
    {"brightness": -63, "contrast": -41, "sharpness": 100},
    {"contrast": 100, "sharpness": 1},
    {"contrast": 37},
    {"brightness": -9},
    {"sharpness": 33},
]


def main(longest: int) -> None:
    """Compare images of all shapes and dtypes, with sides of up to so many pixels."""
    random = np.random.default_rng(5)
    compared = 0
    for dtype in (np.uint8, np.uint16):
        for width in sorted({1, 2, 21, 22, 43, 64, 65, longest} & set(range(longest + 1))):
            for channels in ((), (1,), (2,), (3,), (4,)):
                highest = np.iinfo(dtype).max
                shape = (int(random.integers(1, min(longest, 12), endpoint=True)), width, *channels)
                image = random.integers(0, highest, shape, dtype, endpoint=True)
                image[:, ::2] = image[:, ::2] // (highest // 2 + 1) * highest
                for chosen in CHOSEN:
                    expected = reference.adjust(image, **chosen)
                    np.testing.assert_array_equal(adjust(image, **chosen), expected)
                    inside = image.copy()
                    np.testing.assert_array_equal(adjust(inside, out=inside, **chosen), expected)
                    compared += 2
    print(json.dumps({"compared": compared, "imported_numba": "numba" in sys.modules}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
