from __future__ import annotations

import pytest
from tests.support import images

from imgbatch.errors import Code, DamagedImage
from imgbatch.images.buffers import Buffers
from imgbatch.images.notes import Note
from imgbatch.images.picture import Shape
from imgbatch.images.png import read as read_png
from imgbatch.images.png import write as write_png
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat


def read(file: bytes):
    return read_png(memoryview(file))


def test_a_source_says_what_it_is_and_what_it_will_deliver():
    source = read(images.png_of(images.pixels(channels=2, bits=16)))
    assert source.file_format == "png"
    assert source.shape == Shape(48, 32, 2, 16)


def test_a_palette_that_is_missing_is_damage():
    with pytest.raises(DamagedImage, match="palette"):
        read(images.png(b"\0\0", 1, 1, 8, 3))


def test_a_file_without_an_end_is_truncated_unless_it_is_to_be_salvaged():
    source = read(images.png_of(images.pixels())[:-12])
    with pytest.raises(DamagedImage) as caught:
        source.decode(Buffers(), DamagedPolicy.STRICT)
    assert caught.value.code is Code.TRUNCATED_IMAGE
    salvaged = source.decode(Buffers(), DamagedPolicy.SALVAGE)
    assert (salvaged.pixels == images.pixels()).all()
    assert salvaged.notes == (Note.SALVAGED,)


def test_an_intact_file_is_not_salvaged():
    source = read(images.png_of(images.pixels()))
    assert source.decode(Buffers(), DamagedPolicy.SALVAGE).notes == ()


def test_metadata_of_another_format_that_find_no_place_are_noted():
    from imgbatch.images.jpeg.decode import read as read_jpeg

    file = images.with_segments(images.jpeg(), images.segment(0xFE, b"a comment"))
    source = read_jpeg(memoryview(file))
    encoding = Encoding(OutputFormat.PNG)
    encoded = write_png(images.pixels(), source, encoding, Buffers())
    assert encoded.notes == (Note.METADATA_DROPPED,)
    stripped = Encoding(OutputFormat.PNG, strip_metadata=True)
    assert write_png(images.pixels(), source, stripped, Buffers()).notes == ()


def test_image_data_with_something_in_between_are_damage_and_can_be_salvaged():
    file = images.png_of(images.pixels())
    chunks = images.png_chunks(file)
    body = next(body for kind, body in chunks if kind == b"IDAT")
    parts = [(b"IDAT", body[:50]), (b"tEXt", b"a\0b"), (b"IDAT", body[50:])]
    scattered = file[:33] + b"".join(images.chunk(*part) for part in (*parts, (b"IEND", b"")))
    with pytest.raises(DamagedImage, match="scattered"):
        read(scattered).decode(Buffers(), DamagedPolicy.STRICT)
    salvaged = read(scattered).decode(Buffers(), DamagedPolicy.SALVAGE)
    assert (salvaged.pixels == images.pixels()).all()
