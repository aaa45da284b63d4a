from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import images

from imgbatch.errors import DamagedImage
from imgbatch.images.webp.container import extended_header, join_webp, parse_webp
from imgbatch.images.webp.quality import quantiser_of

LOSSY = parse_webp(memoryview(images.webp())).chunks[0]


@given(bodies=st.lists(st.binary(max_size=20), max_size=4))
def test_chunks_that_are_joined_are_found_again(bodies):
    chunks = [LOSSY, *((b"TEST", body) for body in bodies)]
    structure = parse_webp(memoryview(join_webp(chunks)))
    assert [(name, bytes(body)) for name, body in structure.chunks] == [
        (name, bytes(body)) for name, body in chunks
    ]
    assert structure.is_complete
    assert not structure.is_lossless


@pytest.mark.parametrize("missing", [1, 2, 50])
def test_a_file_that_is_shorter_than_its_header_says_is_incomplete(missing):
    assert not parse_webp(memoryview(images.webp()[:-missing])).is_complete


def test_the_canvas_of_an_extended_header_is_the_pictures():
    body = extended_header(0x10, 48, 32)
    chunks = [(b"VP8X", body), LOSSY]
    structure = parse_webp(memoryview(join_webp(chunks)))
    assert (structure.width_pixels, structure.height_pixels) == (48, 32)


def test_a_lower_quality_has_a_higher_quantiser():
    found = [
        quantiser_of(parse_webp(memoryview(images.webp(quality=q))).first(b"VP8 "))
        for q in (0, 20, 50, 80, 100)
    ]
    assert found == sorted(found, reverse=True)
    assert (found[0], found[-1]) == (127, 0)


@given(data=st.binary(max_size=300))
def test_a_quantiser_is_found_in_any_bytes(data):
    assert 0 <= quantiser_of(memoryview(data)) <= 127


@pytest.mark.parametrize(
    "body", [b"", bytes(9), b"\1" + bytes(20), bytes(3) + b"\x9d\x01\x2b" + bytes(9)]
)
def test_a_picture_without_a_header_is_damage(body):
    with pytest.raises(DamagedImage):
        parse_webp(memoryview(join_webp([(b"VP8 ", body)]) + bytes(20)))


def test_an_extended_header_that_is_too_short_is_damage():
    with pytest.raises(DamagedImage, match="contradict"):
        parse_webp(memoryview(join_webp([(b"VP8X", b"\0\0"), LOSSY])))


def test_two_pictures_are_damage():
    lossless = parse_webp(memoryview(images.webp(lossless=True))).chunks[0]
    with pytest.raises(DamagedImage, match="a lossy and a lossless"):
        parse_webp(memoryview(join_webp([LOSSY, lossless])))
