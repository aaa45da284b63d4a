from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imgbatch.images.png_native import ADAPTIVE, AVERAGE, NONE, PAETH, SUB, UP, filter_rows
from imgbatch_kernels import reference


def unfiltered(filtered: np.ndarray, step: int) -> np.ndarray:
    """Undo the filters byte by byte, as the specification words it."""
    rows = np.zeros((filtered.shape[0] + 1, filtered.shape[1] - 1 + step), int)
    for y, line in enumerate(filtered.astype(int), start=1):
        for x, value in enumerate(line[1:], start=step):
            a, b, c = rows[y, x - step], rows[y - 1, x], rows[y - 1, x - step]
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            predicted = {0: 0, SUB: a, UP: b, AVERAGE: (a + b) // 2, PAETH: nearest}[line[0]]
            rows[y, x] = (value + predicted) % 256
    return rows[1:, step:]


def filtered(rows: np.ndarray, step: int, kind: int) -> np.ndarray:
    out = np.full((rows.shape[0], rows.shape[1] + 1), 77, np.uint8)
    scratch = np.full((2, rows.shape[1]), 99, np.uint8)
    filter_rows(rows, out, scratch, step, kind)
    return out


@pytest.mark.parametrize("kind", [NONE, SUB, UP, AVERAGE, PAETH, ADAPTIVE])
@settings(deadline=None, max_examples=40)
@given(data=st.data(), step=st.sampled_from([1, 2, 3, 4, 6, 8]))
def test_a_filter_is_undone_by_the_specifications_own_formula(kind, data, step):
    pixels, height = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    rows = data.draw(hnp.arrays(np.uint8, (height, pixels * step)))
    assert (unfiltered(filtered(rows, step, kind), step) == rows).all()


@pytest.mark.parametrize("kind", [NONE, SUB, UP, AVERAGE, PAETH, ADAPTIVE])
@settings(deadline=None, max_examples=40)
@given(data=st.data(), step=st.sampled_from([1, 2, 3, 4, 6, 8]))
def test_numpy_filters_to_the_same_bytes_where_the_loops_cannot_run(kind, data, step):
    pixels, height = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    rows = data.draw(hnp.arrays(np.uint8, (height, pixels * step)))
    out = np.empty((height, 1 + pixels * step), np.uint8)
    reference.filter_rows(rows, out, step, kind)
    assert (out == filtered(rows, step, kind)).all()


@pytest.mark.parametrize("kind", [NONE, SUB, UP, AVERAGE, PAETH])
def test_each_row_names_its_filter(kind):
    rows = np.arange(48, dtype=np.uint8).reshape(4, 12)
    assert (filtered(rows, 3, kind)[:, 0] == kind).all()


def test_adaptive_takes_for_each_row_the_filter_that_comes_nearest_to_zero():
    rows = np.zeros((3, 64), np.uint8)
    rows[0] = np.arange(64)  # a slope: the pixel on the left
    rows[1] = np.random.default_rng(1).integers(0, 256, 64)
    rows[2] = rows[1]  # a repetition: the row above
    chosen = filtered(rows, 1, ADAPTIVE)[:, 0]
    assert chosen[0] == SUB
    assert chosen[2] == UP
