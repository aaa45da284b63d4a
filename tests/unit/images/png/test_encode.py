from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.support import images

from imgbatch.images.buffers import Buffers
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.picture import Shape
from imgbatch.images.png.encode import compress_pixels
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, PngLevel, Recipe


def drawing() -> np.ndarray:
    image = Image.new("RGB", (640, 400), "white")
    draw = ImageDraw.Draw(image)
    for k in range(20):
        draw.rectangle((k * 30, k * 17, k * 30 + 90, k * 17 + 40), (k * 12, 255 - k * 9, 90))
        draw.text((10, k * 20), "flat colours, sharp edges " * 4, fill="black")
    return np.array(image)


def slopes() -> np.ndarray:
    y, x = np.mgrid[:300, :400]
    return np.stack((x * 255 // 400, y * 255 // 300, (x + y) * 255 // 700), 2).astype(np.uint8)


@pytest.mark.parametrize("level", PngLevel)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (48, 32), (301, 203)])
def test_three_decoders_find_the_same_samples(size, channels, bits, level):
    image = images.pixels(*size, channels, bits)
    recipe = Recipe(encoding=Encoding(png_level=level))
    written = Pipeline().run(images.png_of(image), recipe).data
    by_opencv = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = image if channels in (1, 3, 4) else image[:, :, [0, 0, 0, 1]]
    order = {1: [0], 2: [0, 1, 2, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert (by_opencv.reshape(*by_opencv.shape[:2], -1) == expected[:, :, order]).all()
    if bits == 8 or channels == 1:
        assert (images.decoded(written) == image).all()
    source = inspect(memoryview(written), Limits())
    assert source.shape == Shape(*size, channels, bits)


@pytest.mark.parametrize("picture", [drawing, slopes])
def test_flat_graphics_are_no_larger_than_opencvs(picture):
    image = picture()
    ours = compress_pixels(image, PngLevel.FAST, Buffers())
    assert len(ours) <= len(cv2.imencode(".png", image)[1])


@pytest.mark.parametrize("picture", [drawing, slopes, lambda: images.pixels(400, 300)])
def test_small_is_at_most_3_percent_above_libpngs_level_6(picture):
    image = picture()
    ours = compress_pixels(image, PngLevel.SMALL, Buffers())
    theirs = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1]
    assert len(ours) <= 1.03 * len(theirs)
    assert len(ours) <= len(compress_pixels(image, PngLevel.FAST, Buffers()))
