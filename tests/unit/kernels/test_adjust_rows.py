import numpy as np
import pytest

from imgbatch_kernels.coefficients import coefficients_of
from imgbatch_kernels.loops.adjust_rows import (
    UINT8,
    UINT16,
    Place,
    scale_offset_row_of,
    sharpen_row_of,
)

# Compiled for arrays here, so that each loop is held to the definition on its own.

DEPTHS = [(np.uint8, UINT8), (np.uint16, UINT16)]


def lanes(brightness: int, contrast: int, sharpness: int, dtype: type) -> np.ndarray:
    slope, offset, weight = coefficients_of(
        brightness, contrast, sharpness, 8 * np.dtype(dtype).itemsize
    )
    lane = np.int16 if dtype == np.uint8 else np.int32
    return np.array([*divmod(slope, 256), *divmod(offset, 256), weight], lane)


def scaled(values: np.ndarray, chosen: tuple[int, int]) -> np.ndarray:
    bits = 8 * values.itemsize
    slope, offset, _ = coefficients_of(*chosen, 0, bits)
    exact = np.rint((values.astype(np.float64) * slope + offset) / 256)
    return np.clip(exact, 0, 2**bits - 1).astype(values.dtype)


@pytest.mark.parametrize(("dtype", "depth"), DEPTHS)
@pytest.mark.parametrize("chosen", [(20, 15), (-100, -100), (100, 100), (-3, 1), (0, -51)])
def test_brightness_and_contrast_of_a_row_are_as_the_formula_says(dtype, depth, chosen):
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    target = np.zeros_like(values)
    scale_offset = scale_offset_row_of(depth)
    scale_offset(Place(target, 0), Place(values, 0), values.size, lanes(*chosen, 0, dtype))
    np.testing.assert_array_equal(target, scaled(values, chosen))


@pytest.mark.parametrize(("dtype", "depth"), DEPTHS)
@pytest.mark.parametrize("is_scaled", [True, False])
def test_a_row_is_sharpened_and_the_row_above_replaced_by_the_one_below(dtype, depth, is_scaled):
    random = np.random.default_rng(4)
    count, channels = 200, 3
    scratch = random.integers(0, np.iinfo(dtype).max, 600, dtype, endpoint=True)
    source = random.integers(0, np.iinfo(dtype).max, count, dtype, endpoint=True)
    chosen = (0, 0) if is_scaled else (20, 15)
    north, middle = scratch[10 : 10 + count].astype(int), scratch[300 : 300 + count].astype(int)
    east, west = scratch[303 : 303 + count].astype(int), scratch[297 : 297 + count].astype(int)
    south = scaled(source, chosen)
    target = np.zeros(count, dtype)
    coefficients = lanes(*chosen, 60, dtype)
    column, row = Place(scratch, 10), Place(scratch, 300)
    sharpen = sharpen_row_of(depth, is_scaled)
    sharpen(Place(target, 0), Place(source, 0), column, row, channels, count, coefficients)
    difference = 4 * middle - north - south.astype(int) - east - west
    exact = np.rint(middle + int(coefficients[4]) * difference / 256)
    np.testing.assert_array_equal(target, np.clip(exact, 0, np.iinfo(dtype).max).astype(dtype))
    np.testing.assert_array_equal(scratch[10 : 10 + count], south)
