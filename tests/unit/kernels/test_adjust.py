import subprocess
import sys
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import naive

from imgbatch_kernels import adjust, reference, warm_up

PHOTOS = sorted((Path(__file__).parents[3] / "examples" / "photos").glob("*.[jp][pn]g"))
DTYPES = [np.uint8, np.uint16]
CHANNELS = [None, 1, 2, 3, 4]
STRONG = {"brightness": 20, "contrast": 15, "sharpness": 60}

factors = st.fixed_dictionaries(
    {
        "brightness": st.integers(-100, 100) | st.just(0),
        "contrast": st.integers(-100, 100) | st.just(0),
        "sharpness": st.integers(0, 100) | st.just(0),
    }
)


@st.composite
def images(draw: st.DrawFn, longest: int = 90) -> np.ndarray:
    height = draw(st.integers(1, longest))
    width = draw(st.integers(1, longest))
    channels = draw(st.sampled_from(CHANNELS))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = (height, width) if channels is None else (height, width, channels)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    highest = np.iinfo(dtype).max
    kind = draw(st.sampled_from(["noise", "extremes", "narrow", "ramp"]))
    if kind == "noise":
        image = random.integers(0, highest, shape, endpoint=True)
    elif kind == "extremes":
        image = random.integers(0, 1, shape, endpoint=True) * highest
    elif kind == "narrow":
        image = random.integers(highest // 2, highest // 2 + 9, shape)
    else:
        image = np.arange(np.prod(shape)).reshape(shape) % (highest + 1)
    return image.astype(dtype)


def make(shape: tuple[int, ...], dtype: type, seed: int = 1) -> np.ndarray:
    highest = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, highest, shape, dtype, endpoint=True)


def shapes(height: int, width: int) -> list[tuple[int, ...]]:
    return [(height, width), *((height, width, channels) for channels in (1, 2, 3, 4))]


@given(images(), factors)
@settings(max_examples=600, deadline=None)
def test_every_image_equals_the_reference(image, chosen):
    np.testing.assert_array_equal(adjust(image, **chosen), reference.adjust(image, **chosen))


@given(images(longest=7), factors)
@settings(max_examples=60, deadline=None)
def test_small_images_equal_plain_python(image, chosen):
    np.testing.assert_array_equal(adjust(image, **chosen), naive.adjust(image, **chosen))


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.stem)
@pytest.mark.parametrize("dtype", DTYPES)
def test_photographs_equal_the_reference(photo, dtype):
    image = cv2.imread(str(photo), cv2.IMREAD_COLOR)
    image = image if dtype == np.uint8 else image.astype(np.uint16) * 257 - (image % 7)
    for brightness, contrast, sharpness in [(20, 15, 60), (-30, -40, 100), (5, 100, 1), (0, 0, 33)]:
        chosen = {"brightness": brightness, "contrast": contrast, "sharpness": sharpness}
        np.testing.assert_array_equal(adjust(image, **chosen), reference.adjust(image, **chosen))


@pytest.mark.parametrize("contrast", range(-100, 101))
def test_every_value_at_every_brightness_and_contrast_equals_the_reference(contrast):
    values = np.arange(256, dtype=np.uint8)[None]
    for brightness in range(-100, 101):
        chosen = {"brightness": brightness, "contrast": contrast}
        np.testing.assert_array_equal(adjust(values, **chosen), reference.adjust(values, **chosen))


@pytest.mark.parametrize("contrast", [-100, -99, -50, -1, 1, 25, 50, 99, 100])
def test_every_16_bit_value_equals_the_reference(contrast):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for brightness in (-100, -37, 0, 1, 100):
        chosen = {"brightness": brightness, "contrast": contrast}
        np.testing.assert_array_equal(adjust(values, **chosen), reference.adjust(values, **chosen))


@pytest.mark.parametrize("sharpness", range(1, 101))
def test_every_difference_to_the_neighbours_equals_the_reference_at_every_sharpness(sharpness):
    centre, around = np.meshgrid(np.arange(256), np.arange(256))
    tiles = np.zeros((3 * 256, 3 * 256), np.uint8)
    tiles[1::3, 1::3] = centre
    tiles[0::3, 1::3] = tiles[1::3, 0::3] = around
    tiles[2::3, 1::3] = tiles[1::3, 2::3] = (around + 1) % 256
    expected = reference.adjust(tiles, sharpness=sharpness)
    np.testing.assert_array_equal(adjust(tiles, sharpness=sharpness), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_widths_around_whole_vectors_equal_the_reference(dtype, channels):
    for width in [*range(1, 24), *range(31, 35), *range(62, 67), *range(126, 131), 191, 192, 193]:
        shape = (3, width) if channels is None else (3, width, channels)
        image = make(shape, dtype, width)
        np.testing.assert_array_equal(adjust(image, **STRONG), reference.adjust(image, **STRONG))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 50), (50, 1), (2, 2), (1, 1, 4), (1, 9, 2), (9, 1, 3)]
)
def test_images_of_one_row_or_column_equal_the_reference(dtype, shape):
    image = make(shape, dtype)
    np.testing.assert_array_equal(adjust(image, **STRONG), reference.adjust(image, **STRONG))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("chosen", [STRONG, {"brightness": 50}, {"sharpness": 80}])
def test_alpha_comes_out_as_it_went_in(dtype, channels, chosen):
    image = make((40, 50, channels), dtype)
    out = np.zeros_like(image)
    adjust(image, out=out, **chosen)
    np.testing.assert_array_equal(out[..., -1], image[..., -1])
    assert (out[..., :-1] != image[..., :-1]).any()
    np.testing.assert_array_equal(out, reference.adjust(image, **chosen))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", shapes(37, 71))
@pytest.mark.parametrize("chosen", [STRONG, {"contrast": 50}, {"sharpness": 80}, {}])
def test_an_image_is_adjusted_in_place(dtype, shape, chosen):
    image = make(shape, dtype)
    expected = reference.adjust(image, **chosen)
    assert adjust(image, out=image, **chosen) is image
    np.testing.assert_array_equal(image, expected)


LAYOUTS = {
    "every second row": lambda a: a[::2],
    "every second column": lambda a: a[:, ::2],
    "a window": lambda a: a[3:-4, 5:-6],
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[:, ::-1],
    "transposed": lambda a: a.swapaxes(0, 1),
    "columns first": np.asfortranarray,
    "channels backwards": lambda a: a[..., ::-1],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", shapes(60, 90))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_strided_inputs_and_outputs_give_the_same_pixels(dtype, shape, layout):
    image = LAYOUTS[layout](make(shape, dtype))
    before = image.copy()
    expected = reference.adjust(before, **STRONG)
    np.testing.assert_array_equal(adjust(image, **STRONG), expected)
    np.testing.assert_array_equal(image, before)
    out = LAYOUTS[layout](np.zeros(shape, dtype))
    adjust(image, out=out, **STRONG)
    np.testing.assert_array_equal(out, expected)
    adjust(image, out=image, **STRONG)
    np.testing.assert_array_equal(image, expected)


def test_memory_around_a_window_is_not_touched():
    whole = make((60, 90, 3), np.uint8)
    before = whole.copy()
    window = whole[10:40, 20:61]
    expected = reference.adjust(window, **STRONG)
    adjust(window, out=window, **STRONG)
    before[10:40, 20:61] = expected
    np.testing.assert_array_equal(whole, before)


def test_samples_at_odd_addresses_are_read_and_written():
    image = make((20, 30, 3), np.uint16)
    buffer = np.zeros(image.nbytes + 1, np.uint8)
    odd = buffer[1:].view(np.uint16).reshape(image.shape)
    odd[:] = image
    expected = reference.adjust(image, **STRONG)
    np.testing.assert_array_equal(adjust(odd, **STRONG), expected)
    adjust(image, out=odd, **STRONG)
    np.testing.assert_array_equal(odd, expected)


def test_a_repeated_row_is_read_as_an_image():
    image = np.broadcast_to(make((1, 50, 3), np.uint8), (40, 50, 3))
    np.testing.assert_array_equal(adjust(image, **STRONG), reference.adjust(image, **STRONG))


def test_a_read_only_image_is_read():
    image = make((20, 30, 3), np.uint8)
    image.flags.writeable = False
    result = adjust(image, **STRONG)
    np.testing.assert_array_equal(result, reference.adjust(image, **STRONG))
    assert result.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES)
def test_neutral_factors_copy_the_image(dtype):
    image = make((20, 30, 4), dtype)
    result = adjust(image)
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_the_result_is_out_where_it_is_given_and_new_where_not():
    image = make((20, 30, 3), np.uint8)
    out = np.empty_like(image)
    assert adjust(image, out=out, **STRONG) is out
    result = adjust(np.asfortranarray(image), **STRONG)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, out)


def test_interleaved_planes_of_one_buffer_may_be_image_and_out():
    planes = make((40, 50, 2), np.uint8)
    image, out = planes[:, :, 0], planes[:, :, 1]
    expected = reference.adjust(image.copy(), **STRONG)
    before = image.copy()
    adjust(image, out=out, **STRONG)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(image, before)


def test_warming_up_twice_is_harmless():
    warm_up()
    warm_up()


def test_importing_the_package_imports_neither_cv2_nor_numba():
    code = (
        "import sys, imgbatch_kernels; "
        "sys.exit(bool({'cv2', 'numba', 'llvmlite'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("dtype", "channels"), list(product(DTYPES, [1, 3, 4])))
def test_an_image_without_contrast_left_is_the_grey_of_its_brightness(dtype, channels):
    image = make((5, 6, channels), dtype)
    result = adjust(image, contrast=-100, brightness=12)
    grey = 128 + 12 if dtype == np.uint8 else 32768 + 12 * 257
    assert (result[..., : 3 if channels == 4 else channels] == grey).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(9, 45, 3), (40, 7), (50, 1), (2, 3, 4), (1, 33, 2), (3, 129)])
@pytest.mark.parametrize("chosen", [STRONG, {"sharpness": 40}, {"brightness": 9}])
def test_nothing_is_written_beside_the_output(dtype, shape, chosen):
    image = make(shape, dtype)
    memory = make((image.size + 400,), dtype, seed=2)
    before = memory.copy()
    adjust(image, out=memory[200:-200].reshape(shape), **chosen)
    np.testing.assert_array_equal(memory[:200], before[:200])
    np.testing.assert_array_equal(memory[-200:], before[-200:])
    wide = make((shape[0], shape[1] + 50, *shape[2:]), dtype, seed=3)
    around = wide[:, shape[1] :].copy()
    adjust(image, out=wide[:, : shape[1]], **chosen)
    np.testing.assert_array_equal(wide[:, shape[1] :], around)
    np.testing.assert_array_equal(wide[:, : shape[1]], reference.adjust(image, **chosen))
