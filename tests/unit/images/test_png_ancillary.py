from __future__ import annotations

import struct
import zlib

import pytest
from tests.support import images

from imgbatch.images.limits import Limits
from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.png_ancillary import carried_chunks, kept_chunks, metadata_of
from imgbatch.images.png_chunks import parse_png


def metadata(*before: bytes) -> Metadata:
    file = memoryview(images.png_of(images.pixels(), before=before))
    return metadata_of(file, parse_png(file, Limits()))


def kept(file: bytes) -> dict[bytes, bytes]:
    view = memoryview(file)
    before, after, _ = kept_chunks(view, parse_png(view, Limits()))
    return {kind: bytes(body) for kind, body in (*before, *after)}


@pytest.mark.parametrize("is_compressed", [False, True])
def test_xmp_is_found_whether_compressed_or_not(is_compressed):
    text = zlib.compress(images.XMP) if is_compressed else images.XMP
    body = b"XML:com.adobe.xmp\0" + bytes((is_compressed, 0)) + b"\0\0" + text
    assert metadata(images.chunk(b"iTXt", body)).xmp == images.XMP


@pytest.mark.parametrize("body", [b"p\0\0no zlib", b"p\0\1" + zlib.compress(b"x"), b"no end"])
def test_a_profile_that_can_not_be_inflated_is_none(body):
    assert metadata(images.chunk(b"iCCP", body)).icc is None


@pytest.mark.parametrize(
    ("body", "resolution"),
    [
        (struct.pack(">IIB", 11811, 5906, 1), Resolution(118.11, 59.06, "centimetre")),
        (struct.pack(">IIB", 2, 1, 0), Resolution(2, 1, "aspect")),
        (struct.pack(">IIB", 1, 1, 0), None),
        (struct.pack(">IIB", 0, 5, 1), None),
        (b"short", None),
    ],
)
def test_resolution_is_found(body, resolution):
    assert metadata(images.chunk(b"pHYs", body)).resolution == resolution


def test_exif_with_a_jpegs_prefix_is_found_without_it():
    assert metadata(images.chunk(b"eXIf", b"Exif\0\0" + images.exif())).exif == images.exif()


def test_text_and_times_are_more_than_other_formats_hold():
    assert metadata(images.chunk(b"tEXt", b"Title\0x")).has_more
    assert metadata(images.chunk(b"tIME", bytes(7))).has_more
    assert not metadata(images.chunk(b"sRGB", b"\0")).has_more


@pytest.mark.parametrize("strip", [False, True])
def test_what_is_carried_is_found_again(strip):
    source = Metadata(images.exif(3), images.XMP, images.profile(), Resolution(300, 300, "inch"))
    chunks = tuple(
        images.chunk(kind, bytes(body))
        for kind, body in carried_chunks(source.stripped() if strip else source)
    )
    found = metadata(*chunks)
    assert found.icc == source.icc
    if strip:
        assert (found.xmp, found.resolution) == (None, None)
        assert found.exif != source.exif
    else:
        assert (found.exif, found.xmp) == (source.exif, source.xmp)
        assert found.resolution.in_unit("inch").x == pytest.approx(300, abs=0.01)


def test_a_background_index_becomes_its_colour():
    palette = images.chunk(b"PLTE", bytes(range(30)))
    background = images.chunk(b"bKGD", b"\2")
    file = images.png(b"\0\1\2", 2, 1, 8, 3, before=(palette, background))
    assert kept(file)[b"bKGD"] == bytes((0, 6, 0, 7, 0, 8))


def test_a_background_index_beyond_the_palette_is_dropped():
    palette = images.chunk(b"PLTE", bytes(range(30)))
    file = images.png(b"\0\1\2", 2, 1, 8, 3, before=(palette, images.chunk(b"bKGD", b"\x0a")))
    assert b"bKGD" not in kept(file)


def test_a_background_of_few_bits_is_spread_over_eight():
    file = images.png(b"\0\x1b", 4, 1, 2, 0, before=(images.chunk(b"bKGD", b"\0\2"),))
    assert kept(file)[b"bKGD"] == bytes((0, 170))


def test_significant_bits_gain_the_alpha_that_a_transparent_colour_became():
    chunks = (images.chunk(b"sBIT", b"\5\6\5"), images.chunk(b"tRNS", b"\0\1\0\2\0\3"))
    assert kept(images.png_of(images.pixels(), before=chunks))[b"sBIT"] == b"\5\6\5\x08"


def test_what_describes_the_old_data_goes_with_them():
    old = [images.chunk(kind, b"x" * 8) for kind in (b"iDOT", b"dSIG", b"hIST")]
    assert kept(images.png_of(images.pixels(), before=tuple(old))) == {}
