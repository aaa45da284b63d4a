import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import naive

from imgbatch_kernels import reference


def make(shape: tuple[int, ...], dtype: type, seed: int = 6) -> np.ndarray:
    highest = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, highest, shape, dtype, endpoint=True)


@given(
    st.sampled_from([(6, 7), (1, 5), (5, 1), (4, 3, 1), (5, 4, 2), (4, 4, 3), (3, 5, 4)]),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(-100, 100),
    st.integers(-100, 100),
    st.integers(0, 100),
    st.integers(0, 2**20),
)
@settings(max_examples=60, deadline=None)
def test_the_reference_equals_plain_python(shape, dtype, brightness, contrast, sharpness, seed):
    image = make(shape, dtype, seed)
    chosen = {"brightness": brightness, "contrast": contrast, "sharpness": sharpness}
    np.testing.assert_array_equal(reference.adjust(image, **chosen), naive.adjust(image, **chosen))


def test_it_is_add_weighted_then_filter_2d():
    image = make((50, 60, 3), np.uint8)
    moved = cv2.addWeighted(image, 333 / 256, image, 0, 20 + 128 * (1 - 333 / 256))
    k = 154 / 256
    kernel = np.array([[0, -k, 0], [-k, 1 + 4 * k, -k], [0, -k, 0]])
    np.testing.assert_array_equal(
        reference.adjust(image, brightness=20, contrast=15, sharpness=60),
        cv2.filter2D(moved, -1, kernel),
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_stays_and_the_image_is_not_changed(dtype, channels):
    image = make((20, 30, channels), dtype)
    before = image.copy()
    result = reference.adjust(image, brightness=30, sharpness=50)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result[..., -1], image[..., -1])
