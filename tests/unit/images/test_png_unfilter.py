from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgbatch.images.png_native import (
    AVERAGE,
    NONE,
    PAD_BYTES,
    PAETH,
    SUB,
    UP,
    filter_rows,
    unfilter_rows,
)

STEPS = [1, 2, 3, 4, 6, 8]
KINDS = [NONE, SUB, UP, AVERAGE, PAETH]


def filtered(rows: np.ndarray, step: int, kinds: list[int]) -> np.ndarray:
    """Filter each row with a filter of its own."""
    height, width = rows.shape
    every = np.empty((len(KINDS), height, width + 1), np.uint8)
    for kind in KINDS:
        filter_rows(rows, every[kind], np.empty((2, width), np.uint8), step, kind)
    return np.stack([every[kind, y] for y, kind in enumerate(kinds)])


def band_of(lines: np.ndarray, above: np.ndarray | int = 0) -> np.ndarray:
    """Put filtered rows behind the row above them, and bytes that do not matter behind both."""
    first = np.full(lines.shape[1], 99, np.uint8)
    first[1:] = above
    return np.concatenate((first, lines.ravel(), np.full(PAD_BYTES, 77, np.uint8)))


def unfiltered(lines: np.ndarray, step: int) -> np.ndarray:
    out = np.empty((lines.shape[0], lines.shape[1] - 1), np.uint8)
    assert unfilter_rows(band_of(lines), out, step)
    return out


def noise(height: int, width: int, step: int) -> np.ndarray:
    random = np.random.default_rng(width * 100 + step)
    return random.integers(0, 256, (height, width * step)).astype(np.uint8)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), step=st.sampled_from(STEPS), width=st.integers(1, 40))
def test_what_was_filtered_is_found_again(data, step, width):
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9))
    rows = noise(len(kinds), width, step)
    assert (unfiltered(filtered(rows, step, kinds), step) == rows).all()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_each_filter_is_undone_in_the_first_row_and_behind_each_other(step, first, second):
    for width in range(1, 12):
        rows = noise(2, width, step)
        assert (unfiltered(filtered(rows, step, [first, second]), step) == rows).all()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("height", range(1, 8))
def test_rows_of_paeth_are_undone_in_pairs_and_the_odd_one_alone(step, height):
    for width in range(1, 12):
        rows = noise(height, width, step)
        assert (unfiltered(filtered(rows, step, [PAETH] * height), step) == rows).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bands_follow_each_other(kind):
    rows = noise(7, 5, 3)
    lines = filtered(rows, 3, [kind] * 7)
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
    assert unfilter_rows(band_of(filtered(rows, step, [kind] * 5)), out, step)
    assert (out == rows.view(">u2")).all()


@pytest.mark.parametrize("kind", [5, 77, 255])
@pytest.mark.parametrize("y", range(4))
def test_an_unknown_filter_is_told_wherever_it_is(kind, y):
    for others in (NONE, PAETH):
        lines = filtered(noise(4, 6, 3), 3, [others] * 4)
        lines[y, 0] = kind
        assert not unfilter_rows(band_of(lines), np.empty((4, 18), np.uint8), 3)


def test_nothing_is_written_outside_the_band_and_its_samples():
    rows = noise(4, 5, 6)
    around = np.full(4 * 30 + 64, 55, np.uint8)
    band = band_of(filtered(rows, 6, [PAETH] * 4))
    assert unfilter_rows(band, around[32:-32].reshape(4, 30), 6)
    assert (around[:32] == 55).all()
    assert (around[-32:] == 55).all()
    assert (band[-PAD_BYTES:] == 77).all()
    assert (band[31 : 31 * 5 : 31] == PAETH).all()
