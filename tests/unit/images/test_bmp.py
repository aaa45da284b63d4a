from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.support import images

from imgbatch.errors import Code, DamagedImage, LimitExceeded, RefusedImage
from imgbatch.images.bmp import read as read_bmp
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.picture import Shape
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, OutputFormat, Recipe


def read(file: bytes):
    return read_bmp(memoryview(file))


def run(file: bytes, encoding: Encoding = Encoding()):
    return Pipeline().run(file, Recipe(encoding=encoding))


def with_profile(profile: bytes) -> bytes:
    """Return a BMP of one pixel with a V5 header."""
    fields = struct.pack("<IiiHHIIiiII", 124, 1, 1, 1, 24, 0, 4, 2835, 2835, 0, 0)
    fields += bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 128, len(profile), 0)
    pixels = b"\1\2\3\0"
    head = struct.pack("<2sIHHI", b"BM", 14 + 124 + 4 + len(profile), 0, 0, 138)
    return head + fields + pixels + profile


def test_a_profile_goes_along_to_another_format_and_is_noted_where_it_has_no_place():
    file = with_profile(images.profile())
    assert read(file).profile == images.profile()
    assert run(file).notes == ("icc-dropped",)
    assert images.decoded(run(file).data).tolist() == [[[3, 2, 1]]]
    jpeg = images.opened(run(file, Encoding(OutputFormat.JPEG)).data)
    assert jpeg.info["icc_profile"] == images.profile()


def test_a_profile_that_is_not_all_there_is_none():
    assert read(with_profile(images.profile())[:-1]).profile is None


def test_resolution_goes_along_and_is_stripped():
    file = images.bmp(dpi=(300, 300))
    png = images.opened(run(file, Encoding(OutputFormat.PNG)).data)
    assert png.info["dpi"] == pytest.approx((300, 300), abs=0.02)
    stripped = images.opened(run(file, Encoding(strip_metadata=True)).data)
    assert stripped.info.get("dpi", (0, 0)) == (0, 0)


def test_a_palette_of_colours_is_expanded_and_one_of_greys_is_grey():
    colours = Image.fromarray(images.pixels()).quantize(16)
    processed = run(images.pillow_file(colours, "BMP"))
    assert processed.notes == ("palette-expanded",)
    assert (images.decoded(processed.data) == np.asarray(colours.convert("RGB"))).all()
    grey = run(images.bmp(images.pixels(channels=1)))
    assert grey.notes == ()
    assert images.opened(grey.data).mode == "L"


def edited(offset: int, kind: str, value: int) -> bytes:
    file = bytearray(images.bmp())
    struct.pack_into(kind, file, offset, value)
    return bytes(file)


@pytest.mark.parametrize(
    ("file", "failure"),
    [
        (edited(14, "<I", 41), RefusedImage),
        (edited(28, "<H", 7), RefusedImage),
        (edited(18, "<i", 0), DamagedImage),
        (edited(22, "<i", 0), DamagedImage),
        (images.bmp()[:20], DamagedImage),
        (images.bmp()[:40], DamagedImage),
    ],
    ids=["header", "bits", "width 0", "height 0", "cut", "cut later"],
)
def test_headers_that_say_nothing_sensible_are_no_image(file, failure):
    with pytest.raises(failure):
        read(file)


def test_a_wrapped_jpeg_is_refused():
    with pytest.raises(RefusedImage):
        read(edited(30, "<I", 4))


def test_more_pixels_than_allowed_are_refused_though_none_is_there():
    with pytest.raises(LimitExceeded):
        inspect(memoryview(edited(18, "<i", -5)), Limits())


@pytest.mark.parametrize("height", [32, -32])
def test_rows_that_stand_upright_are_turned(height):
    file = edited(22, "<i", height)
    expected = images.pixels() if height > 0 else images.pixels()[::-1]
    assert (images.decoded(run(file).data) == expected).all()


def test_missing_rows_are_truncation():
    with pytest.raises(DamagedImage) as caught:
        run(images.bmp()[:-10])
    assert caught.value.code is Code.TRUNCATED_IMAGE


def test_alpha_stays():
    rgba = images.pixels(channels=4)
    file = cv2.imencode(".bmp", np.ascontiguousarray(rgba[:, :, [2, 1, 0, 3]]))[1].tobytes()
    assert read(file).shape == Shape(48, 32, 4)
    assert (np.asarray(images.opened(run(file).data)) == rgba).all()
