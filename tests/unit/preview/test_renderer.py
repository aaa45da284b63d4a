import io
import os
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, LimitExceeded
from imgbatch.images.limits import Limits
from imgbatch.preview.process import Box
from imgbatch.preview.renderer import Renderer
from imgbatch_kernels import adjust


def save(path, height=60, width=90, seed=1):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        save(path, seed=number)
    return paths


@pytest.fixture
def renderer():
    return Renderer(Limits())


def test_the_whole_photograph_shows_what_the_kernel_makes_of_it(renderer, paths):
    pixels = np.asarray(Image.open(paths[0]))
    made = renderer.whole(paths[0], Adjustment(20, 10, 0), 500, 500)
    shown = simplejpeg.decode_jpeg(made.jpeg)
    expected = adjust(pixels, brightness=20, contrast=10)
    assert np.abs(shown.astype(int) - expected).mean() < 6
    assert np.abs(shown.astype(int) - pixels).mean() > 10


def test_the_whole_photograph_fits_the_room(renderer, paths):
    made = renderer.whole(paths[0], Adjustment(), 45, 500)
    assert simplejpeg.decode_jpeg_header(made.jpeg)[:2] == (30, 45)


def test_a_detail_is_cut_from_the_full_size(renderer, paths):
    made = renderer.detail(paths[1], Adjustment(), Box(10, 20, 30, 500))
    shown = simplejpeg.decode_jpeg(made.jpeg)
    expected = np.asarray(Image.open(paths[1]))[20:, 10:40]
    assert shown.shape == expected.shape
    # What JPEG makes of noise; another part of it would differ by 85.
    assert np.abs(shown.astype(int) - expected).mean() < 15


def test_a_file_that_changed_is_read_anew(renderer, paths):
    before = renderer.whole(paths[0], Adjustment(), 500, 500)
    save(paths[0], seed=99)
    os.utime(paths[0], ns=(1, 1))
    assert renderer.whole(paths[0], Adjustment(), 500, 500) != before


def test_the_picture_carries_the_colour_profile(renderer, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 20)).save(path, icc_profile=profile)
    made = renderer.whole(path, Adjustment(), 500, 500)
    assert Image.open(io.BytesIO(made.jpeg)).info["icc_profile"] == profile


def test_the_neighbours_and_the_full_size_are_what_is_decoded_ahead(renderer, paths):
    renderer.whole(paths[1], Adjustment(), 500, 500, (paths[2], paths[0]))
    assert len(renderer.ahead) == 3
    for decode in renderer.ahead:
        decode()
    assert renderer._screen.cache_info().currsize == 3
    assert renderer._full.cache_info().currsize == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(6_000_000_000)
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(LimitExceeded) as caught:
        Renderer(Limits()).size(path)
    assert caught.value.code is Code.TOO_MANY_BYTES
