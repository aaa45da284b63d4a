"""The table of formats says what the program does."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from tests.support import images

from imgbatch.errors import Code, SkippedFile
from imgbatch.images.formats import FORMATS, detect_format
from imgbatch.images.notes import Note
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Recipe

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")


def table(head: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this head."""
    rows = re.search(rf"^\| {head} \|.*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert rows is not None
    return [row.strip("| ").split(" | ") for row in rows[1].splitlines()]


ROWS = {
    title: rest for titles, *rest in table("format") for title in re.split(r", | \(|\)", titles)
}
SAMPLES = {
    "jpeg": images.jpeg(),
    "png": images.png_of(images.pixels()),
    "tiff": images.tiff(),
    "webp": images.webp(),
    "bmp": images.bmp(),
    "avif": images.avif(),
    "gif": images.pillow_file(images.pixels(), "GIF"),
}
TITLES = {name.upper(): name for name in FORMATS} | {"WebP": "webp"}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_that_is_read_has_its_row_and_is_written_as_the_row_says(name):
    reads, writes, keeps = ROWS[next(title for title in ROWS if TITLES.get(title) == name)]
    written_as = FORMATS[name].written_as
    assert writes == ("no" if written_as else "yes")
    if written_as:
        assert f"`{FORMATS[written_as].suffixes[0]}`" in keeps
    has_several = hasattr(import_module(f"imgbatch.images.{name}"), "write_frames")
    assert ("animations" in reads or "pages" in reads) is has_several


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_written_is_of_the_format_that_was_read(name):
    written = Pipeline().run(SAMPLES[name], Recipe()).data
    assert detect_format(memoryview(SAMPLES[name])) == detect_format(memoryview(written)) == name


def test_nothing_that_is_skipped_is_said_to_be_read():
    skipped = {"JPEG 2000": b"\xff\x4f\xff\x51", "Photoshop": b"8BPS\0\1", "OpenEXR": b"v/1\1"}
    for title, head in skipped.items():
        with pytest.raises(SkippedFile) as caught:
            detect_format(memoryview(head + bytes(20)))
        assert f"`{caught.value.code}`" in ROWS[title][2]
        assert caught.value.code is Code.UNSUPPORTED_FORMAT


def test_every_note_is_in_the_table_of_notes():
    words = [word for cells in table("note") for word in re.findall(r"`([^`]+)`", cells[0])]
    assert sorted(words) == sorted(Note)
