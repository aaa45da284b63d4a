import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from tests.support import heifs, images

from imgbatch.errors import DamagedImage, LimitExceeded, SkippedFile
from imgbatch.images.display import (
    for_screen,
    full_pixels,
    open_photograph,
    scaled_pixels,
    thumbnail,
    to_jpeg,
    upright,
)
from imgbatch.images.limits import Limits


def encoded(pixels, file_format="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format, **options)
    return file.getvalue()


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width]
    ramp = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 200], -1)
    return ramp.astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_turned_as_pillow_turns_it(orientation):
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(upright(pixels, orientation), expected)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_turning_keeps_the_number_of_channels(channels):
    pixels = np.zeros((5, 7, channels), np.uint8)
    assert upright(pixels, 6).shape == (7, 5, channels)


def test_a_photograph_lying_on_its_side_has_the_size_it_is_seen_in():
    data = encoded(smooth(20, 30), "JPEG", exif=exif_of(6))
    photograph = open_photograph(data, Limits())
    assert (photograph.width, photograph.height) == (20, 30)
    assert full_pixels(photograph).shape == (30, 20, 3)


def test_a_scaled_photograph_fits_the_room_it_is_seen_in():
    data = encoded(smooth(400, 600), "JPEG", exif=exif_of(6))
    scaled = scaled_pixels(open_photograph(data, Limits()), 100, 90)
    assert scaled.shape == (90, 60, 3)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_scaling_averages_what_it_covers(file_format):
    pixels = smooth(480, 640)
    options = {"quality": 98, "subsampling": 0} if file_format == "JPEG" else {}
    data = encoded(pixels, file_format, **options)
    scaled = scaled_pixels(open_photograph(data, Limits()), 80, 60)
    expected = np.asarray(Image.fromarray(pixels).resize((80, 60), Image.Resampling.BOX))
    difference = np.abs(scaled.astype(int) - expected)
    assert scaled.shape == (60, 80, 3)
    assert difference.mean() < 2


def test_a_small_photograph_is_never_scaled_up():
    photograph = open_photograph(encoded(smooth(20, 30)), Limits())
    np.testing.assert_array_equal(scaled_pixels(photograph, 300, 300), smooth(20, 30))


def test_a_grey_jpeg_is_scaled_as_grey():
    data = encoded(smooth(400, 400)[..., 0], "JPEG")
    assert scaled_pixels(open_photograph(data, Limits()), 50, 50).shape == (50, 50, 1)


def test_a_jpeg_in_ink_is_scaled_as_colour():
    file = io.BytesIO()
    Image.fromarray(smooth(400, 400)).convert("CMYK").save(file, "JPEG")
    scaled = scaled_pixels(open_photograph(file.getvalue(), Limits()), 50, 50)
    assert scaled.shape == (50, 50, 3)


def test_a_profile_is_kept_with_pixels_of_its_kind():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colour = open_photograph(encoded(smooth(9, 9), icc_profile=profile), Limits())
    grey = open_photograph(encoded(smooth(9, 9)[..., 0], icc_profile=profile), Limits())
    assert colour.icc == profile
    assert grey.icc is None


@pytest.mark.parametrize("size", [500, 65_519, 65_520, 200_000])
def test_a_profile_of_any_size_is_read_back_from_the_jpeg(size):
    profile = bytes(np.arange(size) % 251)
    jpeg = to_jpeg(smooth(16, 16), 90, icc=profile)
    assert Image.open(io.BytesIO(jpeg)).info["icc_profile"] == profile


def test_16_bits_are_rounded_to_8():
    pixels = np.array([[[0], [128], [129], [257], [65_535]]], np.uint16)
    assert for_screen(pixels).ravel().tolist() == [0, 0, 1, 1, 255]


def test_what_is_opaque_hides_the_checkerboard_and_what_is_transparent_shows_it():
    pixels = np.zeros((30, 30, 4), np.uint8)
    pixels[:, :15, 3] = 255
    screen = for_screen(pixels)
    assert screen.shape == (30, 30, 3)
    assert not screen[:, :15].any()
    assert set(np.unique(screen[:, 15:])) == {204, 242}


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_an_animation_the_first_frame_is_shown(kind):
    photograph = open_photograph(images.animation(kind), Limits())
    shown, first = full_pixels(photograph), images.pixels().astype(int)
    assert abs(shown[:, :, :3] - first).mean() < (0.01 if kind == "PNG" else 25)


def test_a_phones_picture_is_shown_upright():
    photograph = open_photograph(heifs.sample("phone"), Limits())
    assert (photograph.width, photograph.height) == (32, 48)
    assert (full_pixels(photograph) == np.rot90(images.pixels(), -1)).all()


def test_files_that_are_no_photographs_say_why():
    with pytest.raises(SkippedFile):
        open_photograph(b"hello, world, this is text", Limits())
    with pytest.raises(LimitExceeded):
        open_photograph(encoded(smooth(40, 40)), Limits(max_pixels=100))


def test_a_truncated_photograph_is_not_shown_in_part():
    photograph = open_photograph(encoded(smooth(400, 400), "JPEG")[:-400], Limits())
    with pytest.raises(DamagedImage):
        full_pixels(photograph)
    with pytest.raises(DamagedImage):
        scaled_pixels(photograph, 50, 50)


@pytest.mark.parametrize(
    ("shape", "orientation", "size"),
    [
        ((3000, 2000), 1, (240, 360)),
        ((3000, 2000), 6, (480, 320)),
        ((577, 866), 1, (480, 320)),
        ((40, 30), 8, (40, 30)),
        ((40, 4000), 1, (480, 5)),
    ],
)
def test_thumbnails_are_upright_fit_their_room_and_show_what_the_pixels_show(
    shape, orientation, size
):
    pixels = smooth(*shape)
    photograph = open_photograph(encoded(pixels, exif=exif_of(orientation)), Limits())
    for shown in (pixels, 255 - pixels):
        image = Image.open(io.BytesIO(thumbnail(photograph.source, shown, 480, 360)))
        assert image.size == size
        expected = Image.fromarray(upright(shown, orientation)).resize(size, Image.Resampling.BOX)
        difference = np.abs(np.asarray(image).astype(int) - np.asarray(expected))
        assert difference.mean() < 12


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (2, np.uint8), (4, np.uint16)])
def test_all_kinds_of_pixels_have_thumbnails(channels, dtype):
    pixels = np.full((50, 60, channels), np.iinfo(dtype).max, dtype)
    photograph = open_photograph(encoded(smooth(50, 60)), Limits())
    jpeg = thumbnail(photograph.source, pixels, 30, 30)
    assert Image.open(io.BytesIO(jpeg)).size == (30, 25)


def test_thumbnails_have_small_profiles_only():
    small = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc, kept in ((small, small), (small + bytes(5000), None)):
        photograph = open_photograph(encoded(smooth(20, 30), icc_profile=icc), Limits())
        pixels = full_pixels(photograph)
        jpeg = thumbnail(photograph.source, pixels, 30, 30)
        assert Image.open(io.BytesIO(jpeg)).info.get("icc_profile") == kept
