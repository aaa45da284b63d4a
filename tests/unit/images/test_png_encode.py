from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
from isal import isal_zlib
from PIL import Image, ImageDraw
from tests.support import images

from imgbatch.images import png_encode
from imgbatch.images.buffers import Buffers
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.picture import Shape
from imgbatch.images.png_encode import compress_pixels, deflate_bytes
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


@pytest.mark.parametrize("level", PngLevel)
def test_bytes_are_deflated_to_a_zlib_stream(level):
    raw = images.pixels(100, 100).tobytes()
    assert zlib.decompress(deflate_bytes(raw, level)) == raw


@pytest.mark.parametrize("spare_bytes", [-1, 0, 1, png_encode._PIECE_BYTES])
def test_many_bytes_are_deflated_in_pieces_to_one_stream(spare_bytes):
    size = 2 * png_encode._PIECE_BYTES + spare_bytes
    raw = np.random.default_rng(1).integers(0, 8, size, np.uint8).tobytes()
    inflater = zlib.decompressobj()
    assert inflater.decompress(deflate_bytes(raw, PngLevel.FAST)) == raw
    assert inflater.eof
    assert inflater.unused_data == b""


def test_a_stream_in_pieces_is_the_same_however_many_threads_make_it(monkeypatch):
    rows = np.random.default_rng(2).integers(0, 8, (1300, 8192), np.uint8)
    assert rows.nbytes > 2 * png_encode._PIECE_BYTES
    streams = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(png_encode, "usable_cores", lambda threads=threads: threads)
        streams.append(deflate_bytes(rows, PngLevel.FAST))
    assert streams[0] == streams[1] == streams[2]
    assert len(streams[0]) < 1.001 * len(isal_zlib.compress(rows, 1))


def test_a_large_picture_in_pieces_is_read_by_others():
    image = images.pixels(2000, 1600)
    assert image.nbytes > 2 * png_encode._PIECE_BYTES
    written = Pipeline().run(images.png_of(image), Recipe()).data
    assert (
        cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED) == image[:, :, ::-1]
    ).all()
    assert (images.decoded(written) == image).all()
