import numpy as np
import pytest

from imgbatch_kernels import rows
from imgbatch_kernels.coefficients import coefficients

# Compiled for arrays here, so that each loop is held to the definition on its own.


def lanes(brightness: int, contrast: int, sharpness: int, dtype: type) -> np.ndarray:
    slope, offset, weight = coefficients(
        brightness, contrast, sharpness, 8 * np.dtype(dtype).itemsize
    )
    lane = np.int16 if dtype == np.uint8 else np.int32
    return np.array([*divmod(slope, 256), *divmod(offset, 256), weight], lane)


def moved(values: np.ndarray, chosen: tuple[int, int]) -> np.ndarray:
    bits = 8 * values.itemsize
    slope, offset, _ = coefficients(*chosen, 0, bits)
    exact = np.rint((values.astype(np.float64) * slope + offset) / 256)
    return np.clip(exact, 0, 2**bits - 1).astype(values.dtype)


@pytest.mark.parametrize(("dtype", "name"), [(np.uint8, "uint8"), (np.uint16, "uint16")])
@pytest.mark.parametrize("chosen", [(20, 15), (-100, -100), (100, 100), (-3, 1), (0, -51)])
def test_a_row_is_moved_as_the_formula_says(dtype, name, chosen):
    values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    target = np.zeros_like(values)
    move = getattr(rows, f"move_row_{name}")
    move(target, 0, values, 0, values.size, lanes(*chosen, 0, dtype))
    np.testing.assert_array_equal(target, moved(values, chosen))


@pytest.mark.parametrize(("dtype", "name"), [(np.uint8, "uint8"), (np.uint16, "uint16")])
@pytest.mark.parametrize("step", ["sharpen", "adjust"])
def test_a_row_is_sharpened_and_the_row_above_replaced_by_the_one_below(dtype, name, step):
    random = np.random.default_rng(4)
    count, channels = 200, 3
    scratch = random.integers(0, np.iinfo(dtype).max, 600, dtype, endpoint=True)
    source = random.integers(0, np.iinfo(dtype).max, count, dtype, endpoint=True)
    chosen = (20, 15) if step == "adjust" else (0, 0)
    north, middle = scratch[10 : 10 + count].astype(int), scratch[300 : 300 + count].astype(int)
    east, west = scratch[303 : 303 + count].astype(int), scratch[297 : 297 + count].astype(int)
    south = moved(source, chosen)
    target = np.zeros(count, dtype)
    function = getattr(rows, f"{step}_row_{name}")
    steps = lanes(*chosen, 60, dtype)
    function(target, 0, source, 0, scratch, 10, 300, channels, count, steps)
    difference = 4 * middle - north - south.astype(int) - east - west
    exact = np.rint(middle + int(steps[4]) * difference / 256)
    np.testing.assert_array_equal(target, np.clip(exact, 0, np.iinfo(dtype).max).astype(dtype))
    np.testing.assert_array_equal(scratch[10 : 10 + count], south)
