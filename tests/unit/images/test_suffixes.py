from __future__ import annotations

import pytest
from tests.support import images

from imgbatch.images.notes import Note
from imgbatch.images.suffixes import head_of, name_notes

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
def test_a_name_that_says_what_the_content_is_has_no_note(suffix, tmp_path):
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(FILES[suffix])
    assert name_notes(path, head_of(path)) == ()


@pytest.mark.parametrize("suffix", ["jpg", "tif", "webp", "BMP"])
def test_a_name_that_says_another_format_is_noted(suffix, tmp_path):
    path = tmp_path / f"photo.{suffix}"
    path.write_bytes(FILES["png"])
    assert name_notes(path, head_of(path)) == (Note.NAME_SAYS_ANOTHER_FORMAT,)


@pytest.mark.parametrize("name", ["photo", "photo.dat", "missing.jpg"])
def test_names_that_say_nothing_and_files_that_are_gone_have_no_note(name, tmp_path):
    if name != "missing.jpg":
        (tmp_path / name).write_bytes(FILES["png"])
    path = tmp_path / name
    assert name_notes(path, head_of(path)) == ()
