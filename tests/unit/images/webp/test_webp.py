from __future__ import annotations

import numpy as np
import pytest
from tests.support import images

from imgbatch.errors import DamagedImage
from imgbatch.images.picture import Shape
from imgbatch.images.webp import read as read_webp
from imgbatch.images.webp.quality import quality_of
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, Recipe


def read(file: bytes):
    return read_webp(memoryview(file))


def run(file: bytes, encoding: Encoding = Encoding()):
    return Pipeline().run(file, Recipe(encoding=encoding))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_source_says_what_it_will_deliver(channels, lossless):
    file = images.webp(images.pixels(51, 33, channels), lossless=lossless)
    assert read(file).shape == Shape(51, 33, channels)
    assert run(file).width_pixels == 51


@pytest.mark.parametrize("quality", [20, 35, 50, 65, 75, 80, 85, 90, 95])
def test_quality_is_estimated_from_the_quantisers(quality):
    y, x = np.mgrid[:240, :320]
    noise = np.random.default_rng(1).normal(0, 9, (240, 320, 3))
    smooth = 128 + 60 * np.sin(x / 25) + 50 * np.cos(y / 31)
    photograph = np.clip(smooth[:, :, None] + noise, 0, 255).astype(np.uint8)
    lossy = read(images.webp(photograph, quality=quality)).structure.first(b"VP8 ")
    assert abs(quality_of(lossy) - quality) <= 7


def test_a_quality_that_is_asked_for_is_used():
    file = images.webp(images.pixels(200, 200), quality=90)
    small, large = (run(file, Encoding(quality=q)) for q in (20, 95))
    assert len(small.data) < len(large.data) / 2
    assert small.notes == ()


@pytest.mark.parametrize("name", [b"ABCD", b"EXIF"])
def test_chunks_of_no_known_name_and_repeated_ones_are_dropped_and_noted(name):
    chunk = name + b"\4\0\0\0wxyz"
    file = images.webp(lossless=True, exif=images.exif())
    marked = file[:4] + (len(file) - 8 + 12).to_bytes(4, "little") + file[8:] + chunk
    processed = run(marked)
    assert chunk not in processed.data
    assert processed.notes == ("metadata-dropped",)
    assert run(marked, Encoding(strip_metadata=True)).notes == ()


def test_strip_leaves_profile_and_orientation():
    file = images.webp(exif=images.exif(6), xmp=images.XMP, icc_profile=images.profile())
    written = images.opened(run(file, Encoding(strip_metadata=True)).data)
    assert written.info["icc_profile"] == images.profile()
    assert dict(written.getexif()) == {0x0112: 6}
    assert "xmp" not in written.info


def test_a_file_without_metadata_stays_in_the_simple_form():
    assert run(images.webp()).data[12:16] == b"VP8 "


@pytest.mark.parametrize("length", [12, 19, 20, 25])
def test_a_file_without_its_picture_is_damage(length):
    with pytest.raises(DamagedImage):
        read(images.webp()[:length])


@pytest.mark.parametrize("lossless", [False, True])
def test_headers_that_contradict_each_other_are_damage(lossless):
    file = bytearray(images.webp(exif=images.exif(), lossless=lossless))
    assert file[12:16] == b"VP8X"
    file[24] ^= 1
    with pytest.raises(DamagedImage, match="contradict"):
        read(bytes(file))
