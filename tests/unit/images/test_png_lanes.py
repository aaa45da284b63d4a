from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from imgbatch.images import png_lanes
from imgbatch_kernels import native

pytestmark = pytest.mark.skipif(
    native.is_interpreted(), reason="there is only one form of each operation then"
)

VALUES = np.array([0, 1, 2, 63, 64, 127, 128, 129, 200, 254, 255], np.uint8)
A, B, C = (axis.ravel() for axis in np.meshgrid(VALUES, VALUES, VALUES))


def paeth(a: int, b: int, c: int) -> int:
    """Predict as the specification words it."""
    return min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]


def test_the_nearest_is_the_specifications():
    load, store, nearest = png_lanes.loader(1), png_lanes.storer(1), png_lanes.nearest

    @njit
    def run(a, b, c, out):
        for i in range(a.shape[0]):
            store(out, i, nearest(load(a, i), load(b, i), load(c, i)))

    out = np.empty_like(A)
    run(A, B, C, out)
    assert out.tolist() == [paeth(*map(int, abc)) for abc in zip(A, B, C, strict=True)]


def test_the_mean_is_rounded_down_and_sums_wrap():
    load, store = png_lanes.loader(1), png_lanes.storer(1)
    add, mean = png_lanes.add, png_lanes.mean

    @njit
    def run(a, b, sums, means):
        for i in range(a.shape[0]):
            store(sums, i, add(load(a, i), load(b, i)))
            store(means, i, mean(load(a, i), load(b, i)))

    sums, means = np.empty_like(A), np.empty_like(A)
    run(A, B, sums, means)
    assert (sums == A + B).all()
    assert (means == (A.astype(int) + B) // 2).all()


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6, 8])
def test_a_pixel_is_stored_and_nothing_beside_it(step):
    load, store, zeros, add = (
        png_lanes.loader(step),
        png_lanes.storer(step),
        png_lanes.zeros,
        png_lanes.add,
    )

    @njit
    def run(row, out):
        store(out, 5, add(zeros(), load(row, 3)))

    row, out = np.arange(100, 120, dtype=np.uint8), np.full(20, 7, np.uint8)
    run(row, out)
    assert out.tolist() == [7] * 5 + list(range(103, 103 + step)) + [7] * (15 - step)


def test_the_plain_forms_mean_the_same():
    program = """
import numpy as np
from imgbatch.images import png_lanes as lanes
values = [0, 1, 2, 63, 64, 127, 128, 129, 200, 254, 255]
for a in values:
    for b in values:
        for c in values:
            row = np.array([a, b, c], np.uint8)
            x, y, z = (lanes.loader(1)(row, at) for at in range(3))
            distances = (abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c)
            assert lanes.nearest(x, y, z)[0] == min(distances)[2]
            lanes.storer(1)(row, 2, lanes.add(x, lanes.mean(y, z)))
            assert row[2] == (a + (b + c) // 2) % 256
"""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
