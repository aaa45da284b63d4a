"""HEIF is read as phones mean it; the samples were coded without loss, so the truth is known."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.support import heifs, images

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, DamagedImage, ImageError, LimitExceeded, RefusedImage
from imgbatch.images.buffers import Buffers
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.metadata import orientation_of
from imgbatch.pipeline import Pipeline, Processed, process
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat, Recipe

TO_PNG = Encoding(OutputFormat.PNG)
TILE = images.pixels(64, 64, 1) // 40 * 40
UPRIGHT = np.rot90(images.pixels(), -1)


def run(file: bytes, encoding: Encoding = TO_PNG) -> Processed:
    return Pipeline().run(file, Recipe(encoding=encoding))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("phone", UPRIGHT),
        ("alpha", images.pixels(channels=4)),
        ("grey", images.pixels(channels=1)),
        ("tile", TILE),
    ],
)
def test_every_pixel_is_what_was_encoded(name, expected):
    written = run(heifs.sample(name))
    assert (images.decoded(written.data) == expected).all()
    assert written.notes == ()


def test_ten_bits_become_sixteen_over_the_whole_range():
    import cv2

    written = run(heifs.sample("deep"))
    decoded = cv2.imdecode(np.frombuffer(written.data, np.uint8), cv2.IMREAD_UNCHANGED)
    ten = images.pixels(bits=16).astype(np.uint32) >> 6
    assert decoded.dtype == np.uint16
    assert (decoded[:, :, ::-1] == (ten << 6 | ten >> 4)).all()
    assert set(run(heifs.sample("deep"), Encoding()).notes) == {"format-changed", "depth-reduced"}


def test_pixels_outlive_the_file_that_they_came_from():
    decoded = [
        inspect(memoryview(heifs.sample("phone")), Limits()).decode(Buffers(), DamagedPolicy.STRICT)
        for _ in range(50)
    ]
    assert all((picture.pixels == UPRIGHT).all() for picture in decoded)


def test_tiles_are_put_together():
    written = run(heifs.grid(3))
    assert (images.decoded(written.data) == np.hstack([TILE] * 3)).all()
    assert written.notes == ()


@pytest.mark.parametrize("target", OutputFormat)
def test_a_phones_picture_is_turned_once_whatever_says_so(target):
    written = images.opened(run(heifs.sample("phone"), Encoding(target)).data)
    assert abs(np.asarray(written).astype(int) - UPRIGHT).mean() < 12
    assert orientation_of(written.info["exif"].removeprefix(b"Exif\0\0")) == 1
    assert written.getexif()[0x010F] == "Imaginary"
    assert b"rdf:RDF" in written.info["xmp"]
    assert b"Orientation" not in written.info["xmp"]


def test_what_is_kept_is_a_jpeg_with_the_colour_of_the_source_and_a_note():
    written = run(heifs.sample("two"), Encoding())
    assert written.notes == ("embedded-pictures-dropped", "format-changed")
    jpeg = images.opened(written.data)
    assert jpeg.format == "JPEG"
    assert jpeg.layer[0][1:3] == (2, 2)
    assert images.opened(run(heifs.sample("phone"), Encoding()).data).layer[0][1:3] == (1, 1)


def test_a_jpeg_looks_alike_and_its_quality_can_be_asked_for():
    file = heifs.sample("p3")
    files = (run(file, encoding).data for encoding in (TO_PNG, Encoding()))
    truth, written = (np.asarray(images.opened(file).convert("L"), int) for file in files)
    assert abs(written - truth).mean() < 3
    asked, usual = (images.opened(run(file, Encoding(quality=q)).data) for q in (20, None))
    assert asked.quantization[0][0] > 2 * usual.quantization[0][0]


def test_colours_that_are_said_by_numbers_are_said_in_the_output():
    as_jpeg, as_png = run(heifs.sample("p3"), Encoding()), run(heifs.sample("p3"))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(images.opened(as_jpeg.data).info["icc_profile"]))
    to_srgb = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    shown = ImageCms.applyTransform(Image.new("RGB", (1, 1), (200, 100, 50)), to_srgb)
    assert shown.getpixel((0, 0)) == (215, 93, 31)  # as through Apple's Display P3
    assert dict(images.png_chunks(as_png.data))[b"cICP"] == bytes((12, 13, 0, 1))
    assert b"cICP" not in dict(images.png_chunks(run(heifs.sample("grey")).data))


def test_light_beyond_white_is_kept_in_a_png_and_refused_for_a_jpeg():
    assert dict(images.png_chunks(run(heifs.sample("pq")).data))[b"cICP"] == bytes((9, 16, 0, 1))
    with pytest.raises(RefusedImage, match=r"HDR .*--format png") as caught:
        run(heifs.sample("pq"), Encoding())
    assert caught.value.code is Code.UNSUPPORTED_IMAGE


@pytest.mark.parametrize("mdats", [1, 2])
def test_a_file_that_ends_at_any_box_fails_and_is_not_filled_with_grey(mdats):
    file = heifs.grid(3, mdats=mdats)
    ends = heifs.box_ends(file)
    assert ends[-1] == len(file)
    for end in [*range(64, len(file), 397), *ends[:-1]]:
        with pytest.raises(DamagedImage) as caught:
            run(file[:end])
        assert caught.value.code is Code.TRUNCATED_IMAGE


def test_what_is_there_can_be_salvaged():
    file = heifs.grid(3, mdats=3)
    written = run(file[:-1000], Encoding(OutputFormat.PNG, damaged=DamagedPolicy.SALVAGE))
    assert written.notes == ("salvaged",)
    assert (images.decoded(written.data)[:, :64] == TILE).all()


def test_bytes_behind_the_last_box_are_dropped_and_noted():
    written = run(heifs.sample("tile") + b"stray")
    assert written.notes == ("trailing-data-dropped",)
    assert written.data == run(heifs.sample("tile")).data


def test_that_a_series_of_pictures_is_left_out_is_noted():
    series = heifs.box(b"moov", heifs.full_box(b"mvhd", bytes(96)))
    assert run(heifs.sample("tile") + series).notes == ("embedded-pictures-dropped",)


def test_too_many_pixels_are_refused_before_any_is_decoded():
    with pytest.raises(LimitExceeded) as caught:
        inspect(memoryview(heifs.grid(3, size=(20_000, 20_000))), Limits())
    assert caught.value.code is Code.TOO_MANY_PIXELS
    with pytest.raises(ImageError):
        run(heifs.grid(3, size=(10_000, 10_000)))


@pytest.mark.parametrize("size", [(8, 8), (128, 64), (0, 64), (2**31, 2**31), (9000, 9000)])
def test_a_size_that_the_picture_does_not_have_is_damage(size):
    file = heifs.sample("tile")
    at = file.index(b"ispe") + 8
    with pytest.raises(ImageError) as caught:
        run(file[:at] + struct.pack(">II", *size) + file[at + 8 :])
    assert caught.value.code in (Code.DAMAGED_IMAGE, Code.TOO_MANY_PIXELS)


def test_of_a_cropped_picture_the_pixels_that_are_decoded_count():
    cropped = heifs.sample("grey")
    assert inspect(memoryview(cropped), Limits()).shape.memory_bytes >= 6 * 64 * 64


def test_both_ways_through_the_program_give_the_same_bytes():
    adjustment = Adjustment(10, 20, 30)
    file = heifs.sample("phone")
    assert process(file, adjustment) == Pipeline().run(file, Recipe(adjustment)).data
