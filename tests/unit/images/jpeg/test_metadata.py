from __future__ import annotations

import pytest
from tests.support import images

from imgbatch.images.jpeg.container import parse_jpeg
from imgbatch.images.jpeg.metadata import (
    carried_segments,
    jfif_segment,
    kept_segments,
    metadata_of,
    split_encoded,
)
from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.notes import Note

ADOBE = images.segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
MULTI_PICTURE = images.segment(0xE2, b"MPF\0MM\0*\0\0\0\x08")


def metadata(*segments: bytes) -> Metadata:
    file = memoryview(images.with_segments(images.jpeg(), *segments))
    return metadata_of(parse_jpeg(file))


def icc_part(number: int, total: int, part: bytes) -> bytes:
    return images.segment(0xE2, b"ICC_PROFILE\0" + bytes((number, total)) + part)


def test_a_profile_is_joined_from_its_parts_in_whatever_order():
    assert metadata(icc_part(2, 2, b"world"), icc_part(1, 2, b"hello ")).icc == b"hello world"


@pytest.mark.parametrize("parts", [[(1, 2)], [(2, 2)], [(1, 3), (3, 3)], [(0, 1)]])
def test_a_profile_with_a_missing_part_is_none(parts):
    assert metadata(*(icc_part(n, total, b"x") for n, total in parts)).icc is None


@pytest.mark.parametrize(
    ("unit", "expected"),
    [(1, Resolution(300, 150, "inch")), (2, Resolution(300, 150, "centimetre"))],
)
def test_resolution_is_read_from_jfif(unit, expected):
    body = b"JFIF\0\1\1" + bytes((unit,)) + b"\x01\x2c\0\x96\0\0"
    file = memoryview(
        images.with_segments(images.jpeg(), images.segment(0xE0, body), keep_jfif=False)
    )
    assert metadata_of(parse_jpeg(file)).resolution == expected


def test_what_no_other_format_has_a_place_for_is_said_to_be_there():
    assert metadata(images.segment(0xFE, b"a comment")).has_more
    assert not metadata(ADOBE).has_more


def test_an_index_of_further_pictures_is_dropped_and_noted():
    file = memoryview(images.with_segments(images.jpeg(), MULTI_PICTURE, ADOBE))
    kept, notes = kept_segments(parse_jpeg(file), converted_from_cmyk=False)
    assert [bytes(segment) for segment in kept][1:] == [ADOBE]
    assert notes == [Note.EMBEDDED_PICTURES_DROPPED]


def test_what_describes_ink_is_dropped_with_the_ink():
    file = memoryview(images.with_segments(images.jpeg(), ADOBE, icc_part(1, 1, b"x")))
    kept, notes = kept_segments(parse_jpeg(file), converted_from_cmyk=True)
    assert len(kept) == 1
    assert notes == []


@pytest.mark.parametrize(
    ("metadata", "note"),
    [
        (Metadata(exif=bytes(65_528)), Note.EXIF_DROPPED),
        (Metadata(xmp=bytes(65_505)), Note.XMP_DROPPED),
        (Metadata(icc=bytes(255 * 65_519 + 1)), Note.ICC_DROPPED),
        (Metadata(has_more=True), Note.METADATA_DROPPED),
    ],
)
def test_what_finds_no_place_in_a_jpeg_is_noted(metadata, note):
    segments, notes = carried_segments(metadata)
    assert notes == [note]
    assert segments == []


@pytest.mark.parametrize(
    "metadata",
    [Metadata(exif=bytes(65_527)), Metadata(xmp=bytes(65_504)), Metadata(icc=bytes(300_000))],
)
def test_what_just_fits_is_carried_and_found_again(metadata):
    segments, notes = carried_segments(metadata)
    file = images.with_segments(images.jpeg(), *map(bytes, segments), keep_jfif=False)
    view = memoryview(file)
    found = metadata_of(parse_jpeg(view))
    assert (found.exif, found.xmp, found.icc) == (metadata.exif, metadata.xmp, metadata.icc)
    assert notes == []


@pytest.mark.parametrize(
    ("resolution", "dpi"),
    [
        (Resolution(300, 300, "inch"), (300, 300)),
        (Resolution(118.11, 59.06, "centimetre"), (300, 150)),
    ],
)
def test_resolutions_are_written_in_dots_per_inch(resolution, dpi):
    segment = jfif_segment(resolution)
    file = images.with_segments(images.jpeg(), segment, keep_jfif=False)
    start = file.index(b"JFIF")
    assert file[start + 7] == 1
    assert (
        int.from_bytes(file[start + 8 : start + 10], "big"),
        int.from_bytes(file[start + 10 : start + 12], "big"),
    ) == dpi


def test_an_encoders_segments_are_split_from_what_follows():
    file = images.jpeg()
    front, rest = split_encoded(file)
    assert b"\xff\xd8" + front + rest == file
    assert bytes(rest[:2]) == b"\xff\xdb"
