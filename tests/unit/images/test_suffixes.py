from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import images

from imgbatch.images.notes import Note
from imgbatch.images.suffixes import HEAD_BYTES, name_notes

FILES = {
    "jpg": images.jpeg(),
    "jpeg": images.jpeg(),
    "png": images.png_of(images.pixels()),
    "tif": images.tiff(),
    "TIFF": images.tiff(),
    "webp": images.webp(),
    "BMP": images.bmp(),
}


@pytest.mark.parametrize("suffix", FILES)
def test_a_name_that_says_what_the_content_is_has_no_note(suffix):
    assert name_notes(Path(f"photo.{suffix}"), FILES[suffix][:HEAD_BYTES]) == ()


@pytest.mark.parametrize("suffix", ["jpg", "tif", "webp", "BMP"])
def test_a_name_that_says_another_format_is_noted(suffix):
    notes = name_notes(Path(f"photo.{suffix}"), FILES["png"][:HEAD_BYTES])
    assert notes == (Note.NAME_SAYS_ANOTHER_FORMAT,)


@pytest.mark.parametrize("name", ["photo", "photo.dat"])
def test_names_that_say_nothing_have_no_note(name):
    assert name_notes(Path(name), FILES["png"][:HEAD_BYTES]) == ()


def test_a_file_without_content_has_no_note():
    assert name_notes(Path("photo.jpg"), b"") == ()
