import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgbatch.adjustment import Adjustment
from imgbatch.preview.process import Box
from imgbatch.preview.rendering import adjusted, adjusted_part, rendered


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_part_of_the_image_is_adjusted_as_it_is_in_the_whole(data):
    height, width = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    channels = data.draw(st.sampled_from([1, 2, 3, 4]))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16]))
    seed = data.draw(st.integers(0, 2**16))
    pixels = np.random.default_rng(seed).integers(
        0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True
    )
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    adjustment = Adjustment(7, 23, data.draw(st.sampled_from([0, 40, 100])))
    whole = adjusted(pixels, adjustment)
    part = adjusted_part(pixels, box, adjustment)
    np.testing.assert_array_equal(part, whole[y : y + box.height, x : x + box.width])


def test_neutral_factors_return_the_very_pixels():
    pixels = np.zeros((4, 5, 3), np.uint8)
    assert adjusted(pixels, Adjustment()) is pixels


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (Box(2, 3, 4, 5), Box(2, 3, 4, 5)),
        (Box(-2, -3, 6, 6), Box(0, 0, 4, 3)),
        (Box(8, 8, 50, 50), Box(8, 8, 2, 2)),
        (Box(50, 50, 5, 5), Box(9, 9, 1, 1)),
        (Box(3, 3, 0, -4), Box(3, 3, 1, 1)),
    ],
)
def test_a_box_is_cut_to_the_image(asked, got):
    assert asked.within(10, 10) == got


def test_a_histogram_tells_black_from_white():
    screen = np.zeros((10, 10, 3), np.uint8)
    screen[:3] = 255
    screen[3:5] = 100
    histogram = rendered(screen, None).histogram
    assert histogram["black"] == pytest.approx(0.5)
    assert histogram["white"] == pytest.approx(0.3)
    assert histogram["bins"][0] == 5000
    assert histogram["bins"][100 // 4] == 2000
    assert sum(histogram["bins"]) == 10_000


def test_a_grey_picture_has_a_histogram_too():
    assert rendered(np.full((4, 4, 1), 255, np.uint8), None).histogram["white"] == 1
