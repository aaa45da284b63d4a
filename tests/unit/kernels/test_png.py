from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imgbatch_kernels import reference
from imgbatch_kernels.loops import ADAPTIVE, AVERAGE, NONE, PAETH, PIXEL_BYTES, SUB, UP
from imgbatch_kernels.png import filter_rows, unfilter_rows

KINDS = [NONE, SUB, UP, AVERAGE, PAETH]

# --- Filters applied ------------------------------------------------------------------------------


def unfiltered_by_the_specification(filtered: np.ndarray, step: int) -> np.ndarray:
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
    filter_rows(rows, out, step, kind)
    return out


@pytest.mark.parametrize("kind", [*KINDS, ADAPTIVE])
@settings(deadline=None, max_examples=40)
@given(data=st.data(), step=st.sampled_from(PIXEL_BYTES))
def test_a_filter_is_undone_by_the_specifications_own_formula(kind, data, step):
    pixels, height = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    rows = data.draw(hnp.arrays(np.uint8, (height, pixels * step)))
    assert (unfiltered_by_the_specification(filtered(rows, step, kind), step) == rows).all()


@pytest.mark.parametrize("kind", [*KINDS, ADAPTIVE])
@settings(deadline=None, max_examples=40)
@given(data=st.data(), step=st.sampled_from(PIXEL_BYTES))
def test_numpy_filters_to_the_same_bytes_where_the_loops_cannot_run(kind, data, step):
    pixels, height = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    rows = data.draw(hnp.arrays(np.uint8, (height, pixels * step)))
    out = np.empty((height, 1 + pixels * step), np.uint8)
    reference.filter_rows(rows, out, step, kind)
    assert (out == filtered(rows, step, kind)).all()


@pytest.mark.parametrize("kind", KINDS)
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


# --- Filters undone -------------------------------------------------------------------------------


def filtered_each(rows: np.ndarray, step: int, kinds: list[int]) -> np.ndarray:
    """Filter each row with a filter of its own."""
    height, width = rows.shape
    every = np.empty((len(KINDS), height, width + 1), np.uint8)
    for kind in KINDS:
        filter_rows(rows, every[kind], step, kind)
    return np.stack([every[kind, y] for y, kind in enumerate(kinds)])


def band_of(lines: np.ndarray, above: np.ndarray | int = 0) -> np.ndarray:
    """Put filtered rows behind the row above them."""
    first = np.full(lines.shape[1], 99, np.uint8)
    first[1:] = above
    return np.concatenate((first, lines.ravel()))


def unfiltered(lines: np.ndarray, step: int) -> np.ndarray:
    out = np.empty((lines.shape[0], lines.shape[1] - 1), np.uint8)
    assert unfilter_rows(band_of(lines), out, step)
    return out


def noise(height: int, width: int, step: int) -> np.ndarray:
    random = np.random.default_rng(width * 100 + step)
    return random.integers(0, 256, (height, width * step)).astype(np.uint8)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), step=st.sampled_from(PIXEL_BYTES), width=st.integers(1, 40))
def test_what_was_filtered_is_found_again(data, step, width):
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9))
    rows = noise(len(kinds), width, step)
    assert (unfiltered(filtered_each(rows, step, kinds), step) == rows).all()


@pytest.mark.parametrize("step", PIXEL_BYTES)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_each_filter_is_undone_in_the_first_row_and_behind_each_other(step, first, second):
    for width in range(1, 12):
        rows = noise(2, width, step)
        assert (unfiltered(filtered_each(rows, step, [first, second]), step) == rows).all()


@pytest.mark.parametrize("step", PIXEL_BYTES)
@pytest.mark.parametrize("height", range(1, 8))
def test_rows_of_paeth_are_undone_behind_each_other(step, height):
    for width in range(1, 12):
        rows = noise(height, width, step)
        assert (unfiltered(filtered_each(rows, step, [PAETH] * height), step) == rows).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bands_follow_each_other(kind):
    rows = noise(7, 5, 3)
    lines = filtered_each(rows, 3, [kind] * 7)
    first, second = np.empty((4, 15), np.uint8), np.empty((3, 15), np.uint8)
    band = band_of(lines[:4])
    assert unfilter_rows(band, first, 3)
    assert (band[1:16] == rows[3]).all()
    assert unfilter_rows(band_of(lines[4:], above=band[1:16]), second, 3)
    assert (np.vstack((first, second)) == rows).all()


@pytest.mark.parametrize("step", [2, 4, 6, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_16_bits_are_joined_of_two_bytes(step, kind):
    rows = noise(5, 9, step)
    out = np.empty((5, 9 * step // 2), np.uint16)
    assert unfilter_rows(band_of(filtered_each(rows, step, [kind] * 5)), out, step)
    assert (out == rows.view(">u2")).all()


@pytest.mark.parametrize("kind", [5, 77, 255])
@pytest.mark.parametrize("y", range(4))
def test_an_unknown_filter_is_told_wherever_it_is(kind, y):
    for others in (NONE, PAETH):
        lines = filtered_each(noise(4, 6, 3), 3, [others] * 4)
        lines[y, 0] = kind
        assert not unfilter_rows(band_of(lines), np.empty((4, 18), np.uint8), 3)


def test_nothing_is_written_outside_the_band_and_its_samples():
    rows = noise(4, 5, 6)
    around = np.full(4 * 30 + 64, 55, np.uint8)
    band = band_of(filtered_each(rows, 6, [PAETH] * 4))
    assert unfilter_rows(band, around[32:-32].reshape(4, 30), 6)
    assert (around[:32] == 55).all()
    assert (around[-32:] == 55).all()
    assert (band[31::31] == PAETH).all()


# --- In processes of their own --------------------------------------------------------------------

PROGRAM = """
import sys
import numpy as np
from imgbatch_kernels.png import filter_rows, unfilter_rows
rows = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(5, -1)
out = np.empty((5, rows.shape[1] + 1), np.uint8)
filter_rows(rows, out, 3, int(sys.argv[1]))
again = np.empty_like(rows)
assert unfilter_rows(np.concatenate((np.zeros_like(out[0]), out.ravel())), again, 3)
assert (again == rows).all()
sys.stderr.write(str('numba' in sys.modules))
sys.stdout.buffer.write(out.tobytes())
"""

ROWS = np.random.default_rng(5).integers(0, 256, (5, 33)).astype(np.uint8)


def in_another_process(kind: int, **environment: str) -> tuple[bytes, bool]:
    """Return what it filtered, and whether it imported numba."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(kind)],
        input=ROWS.tobytes(),
        capture_output=True,
        env={**os.environ, **environment},
        check=True,
    )
    return done.stdout, done.stderr == b"True"


def test_numba_is_not_imported_where_the_code_is_kept():
    expected = filtered(ROWS, 3, PAETH).tobytes()
    in_another_process(PAETH)  # keeps the code
    assert in_another_process(PAETH) == (expected, False)


@pytest.mark.parametrize("kind", [*KINDS, ADAPTIVE])
def test_the_loops_do_the_same_as_plain_python(kind):
    expected = filtered(ROWS, 3, kind).tobytes()
    assert in_another_process(kind, NUMBA_DISABLE_JIT="1")[0] == expected


@pytest.mark.parametrize(
    ("band_bytes", "out_shape", "step"),
    [(7, (3, 1), 1), (9, (3, 1), 1), (12, (2, 3), 2), (18, (2, 5), 5)],
)
def test_sizes_that_do_not_belong_together_are_no_address_to_write_to(band_bytes, out_shape, step):
    with pytest.raises(ValueError, match="samples"):
        unfilter_rows(np.zeros(band_bytes, np.uint8), np.zeros(out_shape, np.uint8), step)


@pytest.mark.parametrize(
    ("out_shape", "step", "kind"),
    [((3, 6), 3, UP), ((2, 7), 3, UP), ((3, 7), 4, UP), ((3, 7), 3, 6)],
)
def test_rows_that_do_not_belong_together_are_not_filtered(out_shape, step, kind):
    with pytest.raises(ValueError, match="filter"):
        filter_rows(np.zeros((3, 6), np.uint8), np.zeros(out_shape, np.uint8), step, kind)


def test_arrays_with_gaps_are_refused():
    with pytest.raises(ValueError, match="C order"):
        filter_rows(np.zeros((3, 12), np.uint8)[:, ::2], np.zeros((3, 7), np.uint8), 3, UP)
