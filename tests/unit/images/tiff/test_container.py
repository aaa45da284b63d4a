from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import images, tiffs

from imgbatch.errors import DamagedImage
from imgbatch.images.tiff.container import (
    EXIF_POINTER,
    Directory,
    DirectoryReader,
    Entry,
    header,
    longs,
    serialise,
    shorts,
)

values = st.dictionaries(
    st.integers(1, 60_000).filter(lambda tag: tag not in (34665, 34853, 40965)),
    st.binary(min_size=1, max_size=30).map(lambda value: Entry(7, value)),
    max_size=12,
)


def first_directory(file: memoryview) -> Directory:
    return next(DirectoryReader(file).chain())


def file_of(directory: Directory) -> memoryview:
    return memoryview(header(directory.order, 8) + serialise(directory, 8))


@pytest.mark.parametrize("order", "<>")
@given(entries=values, inner=values)
def test_what_is_written_is_read_again(order, entries, inner):
    pointer = Entry(4, bytes(4), Directory(order, inner))
    read = first_directory(file_of(Directory(order, {**entries, EXIF_POINTER: pointer})))
    below = read.entries[EXIF_POINTER].directory
    assert below is not None
    assert dict(below.entries) == inner
    assert {tag: read.entries[tag] for tag in entries} == entries
    assert read.following == 0


@pytest.mark.parametrize("order", "<>")
def test_numbers_are_read_in_the_files_order(order):
    entries = {
        1: shorts(order, 1, 500),
        2: longs(order, 70_000),
        3: Entry(1, b"\7"),
        4: Entry(2, b"a"),
    }
    directory = Directory(order, entries)
    assert directory.numbers(1) == (1, 500)
    assert directory.number(2) == 70_000
    assert directory.numbers(3) == (7,)
    assert directory.numbers(4) == ()
    assert directory.number(5, default=9) == 9


def test_pillows_fields_are_found():
    file = images.tiff(tiffinfo={270: "a picture"})
    directory = first_directory(memoryview(file))
    assert directory.order == "<"
    assert directory.data(270) == b"a picture\0"
    assert (directory.number(256), directory.number(257)) == (48, 32)


@pytest.mark.parametrize(
    "file",
    [
        b"II*\0",
        struct.pack("<2sHI", b"II", 42, 4),
        struct.pack("<2sHI", b"II", 42, 10_000),
        struct.pack("<2sHIH", b"II", 42, 8, 500),
        struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 256, 4, 2**31, 8, 0),
        struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 256, 4, 5, 10, 0),
    ],
    ids=["header", "offset within it", "offset behind", "entries", "length", "value"],
)
def test_what_claims_more_than_the_file_has_is_damage(file):
    with pytest.raises(DamagedImage):
        first_directory(memoryview(file))


def test_fields_that_share_bytes_can_not_multiply_them():
    fields = b"".join(struct.pack("<HHII", tag, 7, 900, 8) for tag in range(700, 800))
    file = struct.pack("<2sHIH", b"II", 42, 8, 100) + fields + bytes(1000)
    with pytest.raises(DamagedImage, match="more values"):
        first_directory(memoryview(file))


def test_directories_that_point_to_themselves_end():
    file = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, EXIF_POINTER, 4, 1, 8, 0) + bytes(100)
    with pytest.raises(DamagedImage, match="deep"):
        first_directory(memoryview(file))


@pytest.mark.parametrize("tag", [256, EXIF_POINTER])
def test_a_field_that_stands_there_twice_is_damage(tag):
    fields = [tiffs.field("<", tag, "I", 8), tiffs.field("<", tag, "I", 8)]
    file = struct.pack("<2sHI", b"II", 42, 8) + tiffs.directory("<", 8, fields)
    with pytest.raises(DamagedImage, match="twice"):
        first_directory(memoryview(file))


def test_all_directories_of_a_file_share_one_budget():
    fields = [tiffs.field("<", tag, "I", 26) for tag in (34665, 34853, 40965)]
    large = [tiffs.field("<", tag, "I", *range(90)) for tag in range(700, 730)]
    behind = 8 + len(tiffs.directory("<", 8, fields))
    fields = [tiffs.field("<", tag, "I", behind) for tag in (34665, 34853, 40965)]
    file = struct.pack("<2sHI", b"II", 42, 8) + tiffs.directory("<", 8, fields)
    file += tiffs.directory("<", behind, large)
    with pytest.raises(DamagedImage, match="more values than the file"):
        first_directory(memoryview(file))
