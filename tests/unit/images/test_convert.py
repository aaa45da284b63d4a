from __future__ import annotations

import numpy as np
import pytest
from tests.support import images

from imgbatch.images.convert import without_alpha_in_8_bits
from imgbatch.images.notes import Note


def test_eight_bits_without_alpha_pass_as_they_are():
    image = images.pixels()
    converted, notes = without_alpha_in_8_bits(image)
    assert converted is image
    assert notes == []


def test_sixteen_bits_are_rounded_to_the_nearest_level():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    converted, notes = without_alpha_in_8_bits(every)
    assert (converted == np.rint(every / 257)).all()
    assert notes == [Note.DEPTH_REDUCED]


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_lies_over_white_exactly(channels):
    values = np.arange(256, dtype=np.uint8)
    grid = np.stack(np.meshgrid(values, values), axis=2)
    image = grid[:, :, [0] * (channels - 1) + [1]]
    converted, notes = without_alpha_in_8_bits(image)
    colour, alpha = image[:, :, :1].astype(float), image[:, :, -1:].astype(float)
    exact = (colour * alpha + 255 * (255 - alpha)) / 255
    assert abs(converted - exact).max() <= 0.5 + 1e-9
    assert notes == [Note.ALPHA_FLATTENED]


def test_sixteen_bits_with_alpha_do_not_overflow():
    image = np.full((1, 3, 4), 65535, np.uint16)
    image[0, 1, 3] = 0
    image[0, 2] = (0, 0, 0, 65535)
    converted, notes = without_alpha_in_8_bits(image)
    assert converted[0].tolist() == [[255] * 3, [255] * 3, [0] * 3]
    assert notes == [Note.ALPHA_FLATTENED, Note.DEPTH_REDUCED]
