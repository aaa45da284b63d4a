from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile
from tests.support import images

from imgbatch.errors import DamagedImage
from imgbatch.images.pillow import ViewFile, as_array, opened


@given(data=st.binary(max_size=50), steps=st.lists(st.integers(0, 60), max_size=10))
def test_a_view_reads_like_a_file(data, steps):
    ours, theirs = io.BufferedReader(ViewFile(memoryview(data))), io.BytesIO(data)
    for step in steps:
        if step % 2:
            assert ours.seek(step) == theirs.seek(step)
        else:
            assert ours.read(step) == theirs.read(step)
    assert ours.seek(0, io.SEEK_END) == len(data)


@pytest.mark.parametrize("is_strict", [True, False])
def test_pillows_own_settings_are_left_as_they_were(is_strict):
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    with opened(memoryview(images.bmp()), "BMP", is_strict=is_strict) as image:
        assert (as_array(image) == images.pixels()).all()
    with pytest.raises(DamagedImage), opened(memoryview(b"BM"), "BMP", is_strict=is_strict):
        pass
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_another_format_than_the_one_named_is_damage():
    with (
        pytest.raises(DamagedImage),
        opened(memoryview(images.jpeg()), "BMP", is_strict=True),
    ):
        pass


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_arrays_have_three_axes_and_can_be_written(mode, channels):
    array = as_array(Image.new(mode, (7, 5)))
    assert array.shape == (5, 7, channels)
    assert array.flags.writeable
    assert array.dtype == np.uint8
