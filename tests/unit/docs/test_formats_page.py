"""docs/formats.md says what the code does with a file of each kind."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from tests.support import heifs, images

from imgbatch.batch.names import Naming
from imgbatch.errors import Code, SkippedFile
from imgbatch.images.failures import READ_FORMATS
from imgbatch.images.formats import FORMATS, detect_format
from imgbatch.images.notes import Note
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, OutputFormat, Recipe

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
STILLS = {
    "jpeg": images.jpeg(),
    "png": images.png_of(images.pixels()),
    "tiff": images.tiff(),
    "webp": images.webp(),
    "gif": images.pillow_file(images.pixels(), "GIF"),
    "avif": images.avif(),
    "heif": heifs.sample("phone"),
    "bmp": images.bmp(),
}
NOT_PROCESSED = {
    "JPEG 2000": images.pillow_file(images.pixels(), "JPEG2000"),
    "JPEG XL": b"\xff\x0a\0\0",
    "Photoshop": b"8BPS\0\1",
    "OpenEXR": b"v/1\x01",
    "cameras' raw files": b"IIRO\x08\0\0\0",
    "anything else": b"a diary",
}


def rows(head: str) -> dict[str, list[str]]:
    """Return the cells of the table with this head, by the first of each row."""
    table = re.search(rf"^\| {head} \|.*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    cells = [[cell.strip() for cell in row[1:-1].split("|")] for row in table[1].splitlines()]
    return {first: rest for first, *rest in cells}


ROWS = rows("format")
READ = {re.split(r"\W", name)[0].lower(): cells for name, cells in ROWS.items() if cells[0] != "no"}


def test_the_table_has_every_format_that_is_read_and_so_has_the_sentence() -> None:
    assert READ.keys() == STILLS.keys() == FORMATS.keys()
    named = {"heif" if it == "HEIC" else it.lower() for it in re.split(r", | and ", READ_FORMATS)}
    assert named == FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_each_is_written_as_the_table_says(name: str) -> None:
    _, is_written, kept = READ[name]
    processed = Pipeline().run(STILLS[name], Recipe())
    written = detect_format(memoryview(processed.data))
    assert is_written == ("yes" if written == name else "no")
    assert (Note.FORMAT_CHANGED in processed.notes) == ("`format-changed`" in kept)
    suffix = FORMATS[name].suffixes[0]
    target = Naming().target(f"photo{suffix}")
    assert target == ("photo.jpg" if "ends in `.jpg`" in kept else f"photo{suffix}")
    for asked in (OutputFormat.JPEG, OutputFormat.PNG):
        data = Pipeline().run(STILLS[name], Recipe(encoding=Encoding(asked))).data
        assert detect_format(memoryview(data)) == asked.value


@pytest.mark.parametrize("name", FORMATS)
def test_animations_are_kept_where_the_table_says(name: str) -> None:
    reads = READ[name][0]
    has_several = hasattr(import_module(f"imgbatch.images.{name}"), "write_frames")
    assert ("animations" in reads or "pages" in reads) is has_several
    if "animations" not in reads:
        return
    file = images.animation(name.upper())
    image = images.opened(Pipeline().run(file, Recipe()).data)
    assert (image.format, image.n_frames) == (name.upper(), 3)


def test_what_is_not_processed_is_skipped_with_the_code_of_the_table() -> None:
    (others, codes) = zip(
        *((it, cells[2]) for it, cells in ROWS.items() if cells[0] == "no"), strict=True
    )
    for name, file in NOT_PROCESSED.items():
        code = next(code for other, code in zip(others, codes, strict=True) if name in other)
        with pytest.raises(SkippedFile) as caught:
            Pipeline().run(file, Recipe())
        assert f"`{caught.value.code}`" in code


def test_every_note_is_explained_and_no_other() -> None:
    explained = {name for cell in rows("note") for name in re.findall(r"`([^`]+)`", cell)}
    assert explained == set(Note)


def test_every_code_that_the_page_names_is_one() -> None:
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", PAGE))
    assert named - set(Code) - set(Note) == set()
