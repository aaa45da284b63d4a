from __future__ import annotations

import struct
import zlib

import pytest
from tests.support import images

from imgbatch.errors import RefusedImage
from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.notes import Note
from imgbatch.images.png.container import parse_png
from imgbatch.images.png.metadata import carried_chunks, kept_chunks, metadata_of
from imgbatch.images.profiles import profile_of
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, OutputFormat, Recipe


def metadata(*before: bytes) -> Metadata:
    file = memoryview(images.png_of(images.pixels(), before=before))
    return metadata_of(parse_png(file))


def kept(file: bytes) -> tuple[dict[bytes, bytes], list[Note]]:
    before, after, notes = kept_chunks(parse_png(memoryview(file)))
    return {kind: bytes(body) for kind, body in (*before, *after)}, notes


@pytest.mark.parametrize("is_compressed", [False, True])
def test_xmp_is_found_whether_compressed_or_not(is_compressed):
    text = zlib.compress(images.XMP) if is_compressed else images.XMP
    body = b"XML:com.adobe.xmp\0" + bytes((is_compressed, 0)) + b"\0\0" + text
    assert metadata(images.chunk(b"iTXt", body)).xmp == images.XMP


def test_numbers_of_colours_go_before_a_profile_and_light_beyond_white_is_refused_for_a_jpeg():
    profile = images.chunk(b"iCCP", b"p\0\0" + zlib.compress(images.profile()))

    def to_jpeg(*code_points: int) -> bytes:
        numbers = images.chunk(b"cICP", bytes((*code_points, 0, 1)))
        file = images.png_of(images.pixels(), before=(numbers, profile))
        written = Pipeline().run(file, Recipe(encoding=Encoding(OutputFormat.JPEG)))
        assert written.notes == ()
        return images.opened(written.data).info["icc_profile"]

    assert to_jpeg(12, 13) == profile_of((12, 13))
    assert to_jpeg(1, 13) == images.profile()
    for transfer in (16, 18):
        with pytest.raises(RefusedImage, match=r"HDR .*--format png"):
            to_jpeg(9, transfer)


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


PALETTE = images.chunk(b"PLTE", bytes(range(30)))
BACKGROUND, BITS = images.chunk(b"bKGD", b"\0\2"), images.chunk(b"sBIT", b"\5\6\5")
KEY = images.chunk(b"tRNS", b"\0\1\0\2\0\3")


@pytest.mark.parametrize(
    "file",
    [
        images.png(b"\0\1\2", 2, 1, 8, 3, before=(PALETTE, BACKGROUND)),
        images.png(b"\0\x1b", 4, 1, 2, 0, before=(BACKGROUND,)),
        images.png_of(images.pixels(), before=(BITS, KEY)),
    ],
    ids=["palette", "few bits", "transparent colour"],
)
def test_what_is_said_of_samples_that_become_others_is_dropped_and_noted(file):
    assert kept(file) == ({}, [Note.METADATA_DROPPED])


def test_what_describes_the_old_data_goes_with_them():
    old = [images.chunk(kind, b"x" * 8) for kind in (b"iDOT", b"dSIG", b"hIST")]
    assert kept(images.png_of(images.pixels(), before=tuple(old))) == ({}, [])
