from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import heifs, images

from imgbatch.errors import Code, DamagedImage, ImageError, LimitExceeded, SkippedFile
from imgbatch.images.buffers import Buffers
from imgbatch.images.formats import (
    FORMATS,
    HEAD_BYTES,
    detect_format,
    encode,
    inspect,
    name_notes,
)
from imgbatch.images.limits import Limits
from imgbatch.images.notes import Note
from imgbatch.images.picture import Shape
from imgbatch.recipe import Encoding, OutputFormat


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (images.jpeg(), "jpeg"),
        (images.png_of(images.pixels()), "png"),
        (images.tiff(), "tiff"),
        (b"MM\0*" + bytes(4), "tiff"),
        (images.webp(), "webp"),
        (images.bmp(), "bmp"),
        (heifs.sample("phone"), "heif"),
        (b"\0\0\0\x18ftypmif1", "heif"),
        (images.avif(), "avif"),
        (images.animation("GIF"), "gif"),
    ],
)
def test_formats_are_known_by_their_content(file, expected):
    assert detect_format(memoryview(file)) == expected


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (images.pillow_file(images.pixels(), "JPEG2000"), "JPEG 2000"),
        (images.pillow_file(images.pixels(), "ICO"), "icon"),
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"IIRO\x08\0\0\0", "raw"),
    ],
)
def test_formats_that_are_not_processed_are_named_and_skipped(file, name):
    with pytest.raises(SkippedFile, match=name) as caught:
        detect_format(memoryview(file))
    assert caught.value.code is Code.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "file",
    [
        *(b"x", b"some text", b"%PDF-1.7", b"PK\3\4", b"\xff\xd8", b"RIFF____AVI "),
        *(b"________WEBP", b"All our WEBP pictures of the year"),
        *(b"BM", b"BMW", b"BMW 320i service notes", b"BMX races of the year, in order\n"),
    ],
)
def test_other_files_are_no_images(file):
    with pytest.raises(SkippedFile) as caught:
        detect_format(memoryview(file))
    assert caught.value.code is Code.NOT_AN_IMAGE


def test_an_empty_file_is_said_to_be_empty():
    with pytest.raises(DamagedImage) as caught:
        detect_format(memoryview(b""))
    assert caught.value.code is Code.EMPTY_FILE


@given(data=st.binary(max_size=40))
def test_no_bytes_make_it_fail_otherwise(data):
    found = None
    try:
        found = detect_format(memoryview(data))
    except ImageError as error:
        found = error.code
    assert found in (*FORMATS, Code.NOT_AN_IMAGE, Code.UNSUPPORTED_FORMAT, Code.EMPTY_FILE)


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "webp", "bmp"])
def test_size_and_format_are_known_before_a_pixel_is_decoded(kind):
    source = inspect(memoryview(getattr(images, kind)()), Limits())
    assert source.file_format == kind
    assert source.shape == Shape(48, 32, 3)


def test_bytes_are_counted_before_anything_else():
    with pytest.raises(LimitExceeded):
        inspect(memoryview(b"no image, and too long"), Limits(max_bytes=5))
    with pytest.raises(SkippedFile):
        inspect(memoryview(b"no image"), Limits())


FILE_OF = {
    "jpeg": images.jpeg(),
    "png": images.png_of(images.pixels()),
    "tiff": images.tiff(),
    "webp": images.webp(),
    "avif": images.avif(),
    "gif": images.pillow_file(images.pixels(), "GIF"),
    "heif": heifs.sample("phone"),
    "bmp": images.bmp(),
}


@pytest.mark.parametrize("asked", OutputFormat)
@pytest.mark.parametrize("source_format", FORMATS)
def test_the_format_asked_for_is_written(source_format, asked):
    source = inspect(memoryview(FILE_OF[source_format]), Limits())
    encoded = encode(images.pixels(), source, Encoding(asked), Buffers())
    written = detect_format(memoryview(b"".join(encoded.parts)))
    own = FORMATS[source_format].written_as or source_format
    assert written == (own if asked is OutputFormat.KEEP else asked.value)


FILES = {
    "jpg": images.jpeg(),
    "jpeg": images.jpeg(),
    "png": images.png_of(images.pixels()),
    "tif": images.tiff(),
    "TIFF": images.tiff(),
    "webp": images.webp(),
    "avif": images.avif(),
    "gif": images.animation("GIF"),
    "HEIC": heifs.sample("grey"),
    "BMP": images.bmp(),
}


@pytest.mark.parametrize("suffix", FILES)
def test_a_name_that_says_what_the_content_is_has_no_note(suffix):
    assert name_notes(f".{suffix}", FILES[suffix][:HEAD_BYTES]) == ()


@pytest.mark.parametrize("suffix", ["jpg", "tif", "webp", "BMP"])
def test_a_name_that_says_another_format_is_noted(suffix):
    notes = name_notes(f".{suffix}", FILES["png"][:HEAD_BYTES])
    assert notes == (Note.NAME_SAYS_ANOTHER_FORMAT,)


@pytest.mark.parametrize("name", ["photo", "photo.dat"])
def test_names_that_say_nothing_have_no_note(name):
    assert name_notes(Path(name).suffix, FILES["png"][:HEAD_BYTES]) == ()


def test_a_file_without_content_has_no_note():
    assert name_notes(".jpg", b"") == ()


def test_what_plain_jpegs_and_pngs_need_is_imported_without_pillow_and_opencv():
    code = (
        "import sys; import imgbatch.pipeline, imgbatch.images.jpeg, imgbatch.images.png; "
        "sys.exit(str({'PIL', 'cv2', 'numba', 'pi_heif'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
