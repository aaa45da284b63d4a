from __future__ import annotations

import numpy as np
import pytest
from tests.support import images

from imgbatch.errors import RefusedImage
from imgbatch.images.jpeg.container import Component, parse_jpeg, subsampling_of
from imgbatch.images.jpeg.encode import (
    DEFAULT_QUALITY,
    JpegStyle,
    default_style,
    encode_style,
    standard_tables,
    style_of,
)
from imgbatch.images.notes import Note
from imgbatch.recipe import Encoding, Progressive

ODD_TABLES = tuple(tuple((v * 7 + k) % 40 + 1 for v in range(64)) for k in range(2))
SMOOTH = np.add.outer(np.arange(64), np.arange(96))[:, :, None].repeat(3, 2).astype(np.uint8)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize("quality", [40, None])
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411", "gray"])
def test_whoever_encodes_it_the_style_is_the_one_asked_for(
    subsampling, quality, optimised, progressive
):
    tables = standard_tables(quality) if quality else ODD_TABLES
    style = JpegStyle(tables, subsampling, progressive, optimised)
    pixels = np.ascontiguousarray(SMOOTH[:, :, : 1 if subsampling == "gray" else 3])
    encoded, notes = encode_style(pixels, style)
    structure = parse_jpeg(memoryview(encoded))
    assert subsampling_of(structure.frame.components) == subsampling
    assert (structure.scans > 1) is progressive
    if notes != [Note.QUALITY_ESTIMATED]:
        written = [structure.quantisation[c.table] for c in structure.frame.components]
        assert written[0] == tables[0]
        assert all(table == tables[1] for table in written[1:])
    assert 0 < abs(images.decoded(encoded).astype(int) - pixels).mean() < 6


@pytest.mark.parametrize("subsampling", ["440", "411"])
def test_tables_that_a_rare_sampling_can_not_have_are_noted(subsampling):
    assert encode_style(SMOOTH, JpegStyle(ODD_TABLES, subsampling))[1] == [Note.QUALITY_ESTIMATED]


def test_three_different_tables_are_kept_apart():
    third = tuple((v * 5) % 30 + 1 for v in range(64))
    encoded, _ = encode_style(SMOOTH, JpegStyle((*ODD_TABLES, third), "444"))
    structure = parse_jpeg(memoryview(encoded))
    written = [structure.quantisation[c.table] for c in structure.frame.components]
    assert written == [*ODD_TABLES, third]


def test_colours_that_were_stored_as_they_are_stay_so():
    style = JpegStyle(standard_tables(95), "444", is_rgb=True)
    encoded, _ = encode_style(SMOOTH, style)
    assert bytes(c.identifier for c in parse_jpeg(memoryview(encoded)).frame.components) == b"RGB"
    assert abs(images.decoded(encoded).astype(int) - SMOOTH).mean() < 3


def test_noise_at_the_highest_quality_fits_though_it_grows():
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    tables = ((1,) * 64, (1,) * 64)
    encoded, _ = encode_style(noise, JpegStyle(tables, "444", progressive=True))
    assert len(encoded) > 2 * 300 * 300
    assert abs(images.decoded(encoded).astype(int) - noise).max() <= 4


def test_a_side_that_a_jpeg_can_not_have_is_refused_with_the_way_out():
    wide = np.zeros((1, 65_501, 1), np.uint8)
    with pytest.raises(RefusedImage, match="PNG"):
        encode_style(wide, JpegStyle(standard_tables(90), "gray"))


def style(file: bytes, encoding: Encoding = Encoding()):
    return style_of(parse_jpeg(memoryview(file)), encoding, is_rgb=False)


def components(*factors: tuple[int, int]) -> tuple[Component, ...]:
    return tuple(Component(k, h, v, 0) for k, (h, v) in enumerate(factors))


@pytest.mark.parametrize(
    ("factors", "name"),
    [
        ([(1, 1)], "gray"),
        ([(2, 2)], "gray"),
        ([(1, 1), (1, 1), (1, 1)], "444"),
        ([(2, 2), (2, 2), (2, 2)], "444"),
        ([(2, 1), (1, 1), (1, 1)], "422"),
        ([(2, 2), (1, 2), (1, 2)], "422"),
        ([(2, 2), (1, 1), (1, 1)], "420"),
        ([(1, 2), (1, 1), (1, 1)], "440"),
        ([(4, 1), (1, 1), (1, 1)], "411"),
        ([(3, 1), (1, 1), (1, 1)], None),
        ([(2, 2), (1, 1), (2, 1)], None),
        ([(1, 1), (2, 1), (2, 1)], None),
    ],
)
def test_subsampling_has_its_usual_name_or_none(factors, name):
    assert subsampling_of(components(*factors)) == name


def test_the_sources_style_is_kept():
    kept, notes = style(images.jpeg(quality=83, subsampling="4:2:2", progressive=True))
    assert (kept.subsampling, kept.progressive) == ("422", True)
    assert kept.tables[:2] == standard_tables(83)
    assert notes == []


def test_a_quality_that_is_asked_for_replaces_the_sources():
    kept, _ = style(images.jpeg(quality=83, subsampling="4:2:2"), Encoding(quality=40))
    assert (kept.tables, kept.subsampling) == (standard_tables(40), "422")


@pytest.mark.parametrize(("asked", "expected"), [("yes", True), ("no", False), ("keep", True)])
def test_progressive_follows_the_option(asked, expected):
    kept, _ = style(images.jpeg(progressive=True), Encoding(progressive=Progressive(asked)))
    assert kept.progressive is expected


@pytest.mark.parametrize("optimised", [True, False])
def test_huffman_tables_are_made_if_the_source_had_made_ones(optimised):
    assert style(images.jpeg(optimize=optimised))[0].optimised is optimised


def test_an_unusual_sampling_becomes_full_and_is_noted():
    file = bytearray(images.jpeg(subsampling="4:4:4"))
    frame = file.index(b"\xff\xc0")
    file[frame + 11] = 0x31
    kept, notes = style(bytes(file))
    assert kept.subsampling == "444"
    assert notes == [Note.SUBSAMPLING_CHANGED]


def test_pictures_of_other_formats_get_full_chroma():
    plain = default_style(3, Encoding())
    assert plain == JpegStyle(standard_tables(DEFAULT_QUALITY), "444")
    asked = default_style(1, Encoding(quality=50, progressive=Progressive.YES))
    assert asked == JpegStyle(standard_tables(50), "gray", progressive=True)
