from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import images

from imgbatch.errors import Code, DamagedImage, LimitExceeded, RefusedImage
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.png.container import MOST_CHUNKS, RGB, Header, chunk_parts, parse_png

FILE = images.png_of(images.pixels())


def parse(file: bytes):
    return parse_png(memoryview(file))


def with_header(*fields: int) -> bytes:
    return FILE[:8] + images.chunk(b"IHDR", struct.pack(">IIBBBBB", *fields)) + FILE[33:]


def test_header_chunks_and_end_are_found():
    text = images.chunk(b"tEXt", b"a\0b")
    structure = parse(images.png_of(images.pixels(), before=(text,)) + b"trailer")
    assert structure.header == Header(48, 32, 8, RGB, is_interlaced=False)
    assert [chunk.kind for chunk in structure.chunks] == [b"tEXt", b"IDAT"]
    assert structure.is_intact
    assert structure.end == len(images.png_of(images.pixels(), before=(text,)))


@pytest.mark.parametrize(
    "fields",
    [
        (0, 1, 8, 2, 0, 0, 0),
        (1, 0, 8, 2, 0, 0, 0),
        (2**31, 1, 8, 2, 0, 0, 0),
        (1, 1, 3, 0, 0, 0, 0),
        (1, 1, 16, 3, 0, 0, 0),
        (1, 1, 4, 2, 0, 0, 0),
        (1, 1, 8, 5, 0, 0, 0),
        (1, 1, 8, 2, 1, 0, 0),
        (1, 1, 8, 2, 0, 1, 0),
        (1, 1, 8, 2, 0, 0, 2),
    ],
)
def test_headers_that_no_png_has_are_damaged(fields):
    with pytest.raises(DamagedImage):
        parse(with_header(*fields))


def test_a_header_with_a_wrong_checksum_is_damaged():
    with pytest.raises(DamagedImage, match="checksum"):
        parse(FILE[:20] + b"\7" + FILE[21:])


def test_too_many_pixels_are_refused_though_nearly_nothing_is_there():
    with pytest.raises(LimitExceeded):
        inspect(memoryview(with_header(100_000, 100_000, 8, 2, 0, 0, 0)[:40]), Limits())


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF, 10_000])
def test_a_length_beyond_the_files_end_is_not_believed(length):
    at = FILE.index(b"IDAT") - 4
    structure = parse(FILE[:at] + struct.pack(">I", length) + FILE[at + 4 :])
    assert structure.end is None
    assert not structure.is_intact
    assert structure.chunks[-1].body == FILE[at + 8 :]


def test_a_wrong_checksum_makes_image_data_and_no_other_chunk_unusable():
    text = bytearray(images.chunk(b"tEXt", b"a\0b"))
    text[-1] ^= 1
    assert parse(images.png_of(images.pixels(), before=(bytes(text),))).is_intact
    at = FILE.index(b"IDAT") + 10
    assert not parse(FILE[:at] + bytes((FILE[at] ^ 1,)) + FILE[at + 1 :]).is_intact


def test_an_unknown_critical_chunk_is_refused_and_named():
    with pytest.raises(RefusedImage, match="CgBI"):
        parse(images.png_of(images.pixels(), before=(images.chunk(b"CgBI", b""),)))


def test_a_type_that_is_no_letters_is_damaged():
    with pytest.raises(DamagedImage):
        parse(images.png_of(images.pixels(), before=(images.chunk(b"a\0b1", b""),)))


def test_more_chunks_than_any_file_has_are_refused_in_bounded_time():
    flood = images.chunk(b"teXt", b"") * (MOST_CHUNKS + 1)
    with pytest.raises(DamagedImage, match="chunks"):
        parse(images.png_of(images.pixels(), before=(flood,)))


@given(kind=st.sampled_from([b"tEXt", b"IDAT"]), body=st.binary(max_size=300))
def test_chunks_are_written_with_the_right_length_and_checksum(kind, body):
    assert b"".join(chunk_parts(kind, body)) == images.chunk(kind, body)


def test_a_header_is_written_as_it_was_read():
    header = parse(FILE).header
    assert images.chunk(b"IHDR", header.body) == FILE[8:33]
    assert zlib.crc32(b"IHDR" + header.body) == int.from_bytes(FILE[29:33], "big")


def test_an_empty_file_after_the_signature_is_damaged():
    with pytest.raises(DamagedImage) as caught:
        parse(FILE[:8])
    assert caught.value.code is Code.DAMAGED_IMAGE
