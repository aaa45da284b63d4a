from __future__ import annotations

import struct

import pytest
from tests.support import images

from imgbatch.errors import Code, DamagedImage, RefusedImage
from imgbatch.images.jpeg.container import APP0, COM, MOST_SEGMENTS, check_cost, parse_jpeg


def parse(file: bytes):
    return parse_jpeg(memoryview(file))


def frame_body(precision=8, height=32, width=48, components=3) -> bytes:
    described = b"".join(bytes((k + 1, 0x11, 0)) for k in range(components))
    return struct.pack(">BHHB", precision, height, width, components) + described


def with_frame(body: bytes, marker: int = 0xC0) -> bytes:
    file = images.jpeg()
    at = file.index(b"\xff\xc0")
    stop = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
    return file[:at] + images.segment(marker, body) + file[stop:]


def test_size_components_and_end_are_found():
    file = images.jpeg()
    structure = parse(file)
    assert (structure.frame.width_pixels, structure.frame.height_pixels) == (48, 32)
    assert [(c.horizontal, c.vertical) for c in structure.frame.components] == [
        (2, 2),
        (1, 1),
        (1, 1),
    ]
    assert structure.end == len(file)
    assert structure.scans == 1
    assert len(structure.huffman) == 4


def test_segments_are_found_in_order_even_behind_fill_bytes():
    comment = images.segment(0xFE, b"one")
    file = images.with_segments(images.jpeg(), b"\xff\xff" + comment, comment)
    assert [s.marker for s in parse(file).segments] == [APP0, COM, COM]


def test_scans_of_a_progressive_file_are_counted():
    assert parse(images.jpeg(progressive=True)).scans == 10


def test_the_end_of_a_picture_inside_a_thumbnail_is_not_taken_for_the_pictures():
    thumbnail = images.jpeg(images.pixels(16, 16))
    file = images.with_segments(images.jpeg(), images.segment(0xE1, b"Exif\0\0" + thumbnail))
    assert parse(file).end == len(file)


@pytest.mark.parametrize("length", [2, 3, 10, 20, 100, 300, 600])
def test_headers_that_break_off_are_truncated(length):
    with pytest.raises(DamagedImage) as caught:
        parse(images.jpeg()[:length])
    assert caught.value.code is Code.TRUNCATED_IMAGE


def test_data_that_break_off_have_no_end():
    assert parse(images.jpeg()[:-10]).end is None


@pytest.mark.parametrize(
    ("body", "marker", "error"),
    [
        (frame_body(precision=12), 0xC1, RefusedImage),
        (frame_body(components=2), 0xC0, RefusedImage),
        (frame_body(), 0xC3, RefusedImage),
        (frame_body(), 0xC5, RefusedImage),
        (frame_body(height=0), 0xC0, DamagedImage),
        (frame_body(width=0), 0xC0, DamagedImage),
        (frame_body()[:-1], 0xC0, DamagedImage),
        (frame_body(components=1)[:-2] + b"\x51\0", 0xC0, DamagedImage),
        (b"", 0xC0, DamagedImage),
    ],
)
def test_frames_that_no_decoder_reads_are_refused_with_a_reason(body, marker, error):
    with pytest.raises(error, match="JPEG"):
        parse(with_frame(body, marker))


QUANTISATION = [bytes(64), b"\x20" + bytes(64), b"\x04" + bytes(64), b"\x10" * 65]
HUFFMAN = [bytes(10), b"\0" + b"\1" * 16 + b"x" * 15]


@pytest.mark.parametrize(
    "segment",
    [
        images.segment(0xC0, frame_body()),
        *(images.segment(0xDB, body) for body in QUANTISATION),
        *(images.segment(0xC4, body) for body in HUFFMAN),
        b"\xff\xe5\0\1",
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xda\0\2",
    ],
)
def test_headers_that_contradict_themselves_are_damaged(segment):
    with pytest.raises(DamagedImage) as caught:
        parse(images.with_segments(images.jpeg(), segment))
    assert caught.value.code is Code.DAMAGED_IMAGE


def test_cost_grows_with_scans_and_pixels():
    structure = parse(images.jpeg(progressive=True))
    check_cost(structure)
    structure.scans = 1001
    with pytest.raises(DamagedImage, match="1001 scans"):
        check_cost(structure)


@pytest.mark.parametrize("where", ["headers", "between scans"])
def test_more_segments_than_any_file_has_are_refused_in_bounded_time(where):
    flood = images.segment(0xFE, b"") * (MOST_SEGMENTS + 2)
    file = images.with_segments(images.jpeg(), flood)
    if where == "between scans":
        file = images.jpeg()[:-2] + flood + b"\xff\xd9"
    with pytest.raises(DamagedImage, match="segments"):
        parse(file)
