from __future__ import annotations

import struct

import numpy as np
import pytest
from tests.support import images

from imgbatch.errors import DamagedImage
from imgbatch.images.buffers import Buffers
from imgbatch.images.picture import Shape
from imgbatch.images.png.container import parse_png
from imgbatch.images.png.decode import decode_intact, decode_salvaged

PALETTE = images.chunk(b"PLTE", bytes(range(30)))
INDICES = np.tile(np.arange(10, dtype=np.uint8), (4, 1))
INDEX_ROWS = np.hstack((np.zeros((4, 1), np.uint8), INDICES)).tobytes()


def structure(file: bytes):
    return parse_png(memoryview(file))


def indexed(*before: bytes) -> bytes:
    return images.png(INDEX_ROWS, 10, 4, 8, 3, before=before)


def decode(file: bytes):
    return decode_intact(structure(file), Buffers())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_sample_arrives_in_its_place(channels, bits):
    image = images.pixels(channels=channels, bits=bits)
    decoded = decode(images.png_of(image))
    assert decoded.dtype == image.dtype
    assert (decoded == image).all()
    assert decoded.flags.c_contiguous


def test_indices_become_the_palettes_colours():
    assert (decode(indexed(PALETTE)) == np.arange(30).reshape(10, 3)[INDICES]).all()


def test_transparency_of_a_palette_is_as_long_as_it_wants():
    decoded = decode(indexed(PALETTE, images.chunk(b"tRNS", b"\5\6")))
    assert (decoded[0, :, 3] == [5, 6, *[255] * 8]).all()


@pytest.mark.parametrize("body", [b"", b"\0" * 11])
def test_transparency_that_does_not_fit_the_palette_is_none(body):
    file = indexed(PALETTE, images.chunk(b"tRNS", body))
    assert structure(file).transparency is None
    assert structure(file).shape == Shape(10, 4, 3)
    assert decode(file).shape == (4, 10, 3)


@pytest.mark.parametrize("body", [b"", b"\0\0", b"\0" * 771])
def test_a_malformed_palette_is_none(body):
    assert structure(indexed(images.chunk(b"PLTE", body))).palette is None


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_beside_alpha_is_ignored(channels):
    image = images.pixels(channels=channels)
    file = images.png_of(image, before=(images.chunk(b"tRNS", b"\0\1\0\2\0\3"),))
    assert (decode(file) == image).all()


def test_a_suggested_palette_is_ignored():
    image = images.pixels()
    assert (decode(images.png_of(image, before=(PALETTE,))) == image).all()
    grey = images.pixels(channels=1)
    assert (decode(images.png_of(grey, before=(PALETTE,))) == grey).all()


def test_image_data_may_be_in_any_number_of_chunks():
    image = images.pixels()
    whole = images.png_of(image)
    body = dict(images.png_chunks(whole))[b"IDAT"]
    parts = b"".join(images.chunk(b"IDAT", bytes((byte,))) for byte in body)
    at = whole.index(b"IDAT") - 4
    assert (decode(whole[:at] + parts + images.chunk(b"IEND", b"")) == image).all()


def test_chunks_beside_the_pixels_do_not_reach_opencv(monkeypatch):
    import cv2

    seen = []
    real = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: seen.append(data) or real(data, flags))
    profile = images.chunk(b"iCCP", b"p\0\0" + b"no zlib at all")
    decode(indexed(PALETTE, profile))
    assert b"iCCP" not in seen[0].tobytes()


@pytest.mark.parametrize("rows", [1, 5, 31])
def test_missing_rows_repeat_the_last_one(rows):
    image = images.pixels()
    filtered = np.hstack((np.zeros((32, 1), np.uint8), image.reshape(32, -1)))
    file = images.png(filtered[:rows].tobytes(), 48, 32)
    salvaged = decode_salvaged(structure(file))
    assert (salvaged[:rows] == image[:rows]).all()
    assert (salvaged[rows:] == image[rows - 1]).all()
    with pytest.raises(DamagedImage):
        decode(file)


@pytest.mark.parametrize("body", [b"", b"garbage"])
def test_nothing_is_made_of_nothing(body):
    file = images.png_of(images.pixels())
    at = file.index(b"IDAT") - 4
    empty = file[:at] + images.chunk(b"IDAT", body) + images.chunk(b"IEND", b"")
    with pytest.raises(DamagedImage, match="no complete row"):
        decode_salvaged(structure(empty))


def test_an_unknown_filter_is_damage():
    file = images.png(b"\7" + bytes(3), 1, 1)
    with pytest.raises(DamagedImage):
        decode(file)


def test_a_header_that_promises_more_than_the_data_have_is_damage():
    file = images.png_of(images.pixels())
    header = struct.pack(">IIBBBBB", 480, 320, 8, 2, 0, 0, 0)
    with pytest.raises(DamagedImage):
        decode(file[:8] + images.chunk(b"IHDR", header) + file[33:])
