from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.support import images

from imgbatch.images.metadata import Resolution, inflate, orientation_of, orientation_only


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_found_in_both_byte_orders(orientation):
    assert orientation_of(images.exif(orientation)) == orientation
    tag = Image.Exif()
    tag[0x0112] = orientation
    assert orientation_of(tag.tobytes().removeprefix(b"Exif\0\0")) == orientation


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_an_orientation_that_does_not_exist_is_none(orientation):
    assert orientation_of(images.exif(orientation)) is None


@given(data=st.binary(max_size=80))
def test_no_bytes_make_it_fail(data):
    for exif in (data, b"II*\0" + data, b"MM\0*" + data):
        assert orientation_of(exif) in (None, *range(1, 9))


def test_an_orientation_of_another_type_is_none():
    broken = images.exif().replace(struct.pack(">HH", 0x0112, 3), struct.pack(">HH", 0x0112, 4))
    assert orientation_of(broken) is None


def test_the_orientation_alone_is_a_valid_block():
    alone = Image.Exif()
    alone.load(orientation_only(images.exif(6)))
    assert dict(alone) == {0x0112: 6}


@pytest.mark.parametrize("exif", [None, b"", b"neither"])
def test_without_an_orientation_there_is_no_block(exif):
    assert orientation_only(exif) is None


def test_inflating_ends_at_the_bound():
    assert inflate(zlib.compress(bytes(1000)), 1000) == bytes(1000)
    assert inflate(zlib.compress(bytes(1001)), 1000) is None


@pytest.mark.parametrize("data", [b"", b"no zlib", zlib.compress(b"cut off")[:-2]])
def test_damaged_streams_are_none(data):
    assert inflate(data) is None


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        (Resolution(254, 127, "inch"), "centimetre", Resolution(100, 50, "centimetre")),
        (Resolution(100, 50, "centimetre"), "inch", Resolution(254, 127, "inch")),
        (Resolution(72, 72, "inch"), "inch", Resolution(72, 72, "inch")),
        (Resolution(2, 1, "aspect"), "inch", Resolution(2, 1, "aspect")),
    ],
)
def test_resolutions_change_their_unit_but_proportions_have_none(resolution, unit, expected):
    changed = resolution.in_unit(unit)
    assert (changed.x, changed.y) == pytest.approx((expected.x, expected.y))
    assert changed.unit == expected.unit
