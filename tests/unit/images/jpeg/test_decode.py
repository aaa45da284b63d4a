from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.support import images

from imgbatch.errors import Code, DamagedImage
from imgbatch.images.buffers import Buffers
from imgbatch.images.jpeg import read as read_jpeg
from imgbatch.images.jpeg import write as write_jpeg
from imgbatch.images.notes import Note
from imgbatch.images.picture import Shape
from imgbatch.images.png import read as read_png
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat

TO_JPEG = Encoding(OutputFormat.JPEG)


def read(file: bytes):
    return read_jpeg(memoryview(file))


def decode(file: bytes, damaged: DamagedPolicy = DamagedPolicy.STRICT):
    return read(file).decode(Buffers(), damaged)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_pixels_are_those_that_libjpeg_decodes(channels, options):
    file = images.jpeg(images.pixels(channels=channels), **options)
    source = read(file)
    assert source.file_format == "jpeg"
    assert source.shape == Shape(48, 32, channels)
    assert (decode(file).pixels == images.decoded(file)).all()


def test_pixels_land_in_memory_that_is_kept_and_come_from_where_the_file_lies():
    buffers = Buffers()
    first = read(images.jpeg()).decode(buffers, DamagedPolicy.STRICT).pixels
    second = read(images.jpeg()).decode(buffers, DamagedPolicy.STRICT).pixels
    assert np.shares_memory(first, second)


def test_an_unusual_sampling_is_decoded_all_the_same():
    file = bytearray(images.jpeg(subsampling="4:2:2"))
    frame = file.index(b"\xff\xc0")
    assert file[frame + 11] == 0x21
    file[frame + 11], file[frame + 17] = 0x21, 0x21
    picture = decode(bytes(file), DamagedPolicy.SALVAGE)
    assert picture.pixels.shape == (32, 48, 3)


def test_colours_stored_as_they_are_stay_so():
    file = images.jpeg(quality=95, subsampling=0, keep_rgb=True)
    source = read(file)
    assert source.is_rgb
    encoded = write_jpeg(decode(file).pixels, source, Encoding(), Buffers())
    written = b"".join(encoded.parts)
    assert read(written).is_rgb
    assert abs(images.decoded(written).astype(int) - images.pixels()).mean() < 3


def test_a_file_without_an_end_is_truncated_unless_it_is_to_be_salvaged():
    file = images.jpeg()[:-2]
    with pytest.raises(DamagedImage) as caught:
        decode(file)
    assert caught.value.code is Code.TRUNCATED_IMAGE
    salvaged = decode(file, DamagedPolicy.SALVAGE)
    assert salvaged.notes == (Note.SALVAGED,)
    assert (salvaged.pixels == images.decoded(images.jpeg())).all()


def test_data_that_end_too_early_are_damage_though_an_end_marker_follows():
    file = images.jpeg(images.pixels(200, 200))
    with pytest.raises(DamagedImage):
        decode(file[: len(file) // 2] + b"\xff\xd9")


def test_bytes_that_were_not_read_are_damage_unless_they_are_zeros():
    file = images.jpeg()
    assert decode(file[:-2] + bytes(9) + file[-2:]).notes == (Note.PADDING_DROPPED,)
    with pytest.raises(DamagedImage) as caught:
        decode(file[:-2] + b"unread data" + file[-2:])
    assert caught.value.code is Code.DAMAGED_IMAGE


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_other_formats_become_jpegs_and_notes_say_what_they_lost(channels, bits):
    image = images.pixels(channels=channels, bits=bits)
    if channels in (2, 4):
        image[:, :, -1] = np.iinfo(image.dtype).max
    source = read_png(memoryview(images.png_of(image)))
    encoded = write_jpeg(image, source, TO_JPEG, Buffers())
    expected = ([Note.ALPHA_FLATTENED] if channels in (2, 4) else []) + (
        [Note.DEPTH_REDUCED] if bits == 16 else []
    )
    assert list(encoded.notes) == expected
    written = images.decoded(b"".join(encoded.parts)).astype(int)
    colours = image[:, :, :1] if channels < 3 else image[:, :, :3]
    assert abs(written - (colours // (257 if bits == 16 else 1))).mean() < 4


def test_ink_through_the_ycck_transform_is_ink():
    ink = Image.fromarray(images.pixels()).convert("CMYK")
    picture = decode(images.pillow_file(ink, "JPEG", quality=95))
    assert picture.notes == (Note.CMYK_CONVERTED,)
    assert abs(picture.pixels.astype(int) - images.pixels()).mean() < 8
