from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image, ImageFile
from tests.support import images, tiffs

from imgbatch.errors import DamagedImage
from imgbatch.images.picture import Shape
from imgbatch.images.pillow import decode_by_pillow, opened
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import DamagedPolicy, Encoding, Progressive, Recipe


class Watched(type(ImageFile)):
    """A module that takes no new value."""

    def __setattr__(self, name, value):
        if name == "__class__":
            return super().__setattr__(name, value)
        raise AssertionError(f"{name} was set for the whole process")


@pytest.mark.parametrize("damaged", DamagedPolicy)
@pytest.mark.parametrize(
    "file",
    [
        images.bmp(),
        images.tiff(),
        images.webp(),
        images.jpeg(images.pixels(channels=4), mode="CMYK"),
        images.jpeg(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8), quality=100),
        tiffs.tiff(images.pixels(bits=16)),
        images.png_of(images.pixels(bits=16)),
    ],
    ids=["bmp", "tiff", "webp", "cmyk", "noise", "deep tiff", "deep png"],
)
def test_nothing_is_changed_for_the_whole_process(file, damaged, monkeypatch):
    encoding = Encoding(progressive=Progressive.YES, damaged=damaged)
    with monkeypatch.context() as patched:
        patched.setattr(Image, "__class__", Watched)
        patched.setattr(ImageFile, "__class__", Watched)
        patched.setattr(os, "dup2", None)
        Pipeline().run(file, Recipe(encoding=encoding))


def test_pillows_own_bound_on_pixels_does_not_apply(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for file in (images.bmp(), images.tiff(), images.webp()):
        Pipeline().run(file, Recipe())


def test_another_format_than_the_one_named_is_damage():
    with pytest.raises(DamagedImage), opened(memoryview(images.jpeg()), "BMP", is_strict=True):
        pass


def test_a_size_that_was_not_checked_is_not_decoded():
    with pytest.raises(DamagedImage, match="another size"):
        decode_by_pillow(images.bmp(), "BMP", Shape(47, 32, 3), is_strict=True)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_arrays_have_three_axes_and_can_be_written(channels):
    array = images.pixels(7, 5, channels)
    shape = Shape(7, 5, channels)
    decoded = decode_by_pillow(tiffs.tiff(array), "TIFF", shape, is_strict=True)
    assert (decoded == array).all()
    assert decoded.flags.writeable
