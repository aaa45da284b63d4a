from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import images

from imgbatch.errors import Code, DamagedImage, ImageError, SkippedFile
from imgbatch.images.picture import FileFormat
from imgbatch.images.recognise import recognise


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (images.jpeg(), FileFormat.JPEG),
        (images.png_of(images.pixels()), FileFormat.PNG),
        (images.tiff(), FileFormat.TIFF),
        (b"MM\0*" + bytes(4), FileFormat.TIFF),
        (images.webp(), FileFormat.WEBP),
        (images.bmp(), FileFormat.BMP),
    ],
)
def test_formats_are_known_by_their_content(file, expected):
    assert recognise(memoryview(file)) is expected


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (images.pillow_file(images.pixels(), "GIF"), "GIF"),
        (images.pillow_file(images.pixels(), "JPEG2000"), "JPEG 2000"),
        (images.pillow_file(images.pixels(), "AVIF"), "AVIF"),
        (images.pillow_file(images.pixels(), "ICO"), "icon"),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
        (b"IIRO\x08\0\0\0", "raw"),
    ],
)
def test_formats_that_are_not_processed_are_named_and_skipped(file, name):
    with pytest.raises(SkippedFile, match=name) as caught:
        recognise(memoryview(file))
    assert caught.value.code is Code.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "file",
    [
        *(b"x", b"some text", b"%PDF-1.7", b"PK\3\4", b"\xff\xd8", b"RIFF____AVI "),
        *(b"BM", b"BMW", b"BMW 320i service notes", b"BMX races of the year, in order\n"),
    ],
)
def test_other_files_are_no_images(file):
    with pytest.raises(SkippedFile) as caught:
        recognise(memoryview(file))
    assert caught.value.code is Code.NOT_AN_IMAGE


def test_an_empty_file_is_said_to_be_empty():
    with pytest.raises(DamagedImage) as caught:
        recognise(memoryview(b""))
    assert caught.value.code is Code.EMPTY_FILE


@given(data=st.binary(max_size=40))
def test_no_bytes_make_it_fail_otherwise(data):
    found = None
    try:
        found = recognise(memoryview(data))
    except ImageError as error:
        found = error.code
    assert found in (*FileFormat, Code.NOT_AN_IMAGE, Code.UNSUPPORTED_FORMAT, Code.EMPTY_FILE)
