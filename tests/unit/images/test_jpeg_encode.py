from __future__ import annotations

import numpy as np
import pytest
from tests.support import images

from imgbatch.errors import RefusedImage
from imgbatch.images.jpeg_encode import encode_style
from imgbatch.images.jpeg_markers import parse_jpeg
from imgbatch.images.jpeg_style import JpegStyle, subsampling_of
from imgbatch.images.jpeg_tables import standard_tables
from imgbatch.images.notes import Note

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
    style = JpegStyle(tables, quality, subsampling, progressive, optimised)
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
    assert encode_style(SMOOTH, JpegStyle(ODD_TABLES, None, subsampling))[1] == [
        Note.QUALITY_ESTIMATED
    ]


def test_three_different_tables_are_kept_apart():
    third = tuple((v * 5) % 30 + 1 for v in range(64))
    encoded, _ = encode_style(SMOOTH, JpegStyle((*ODD_TABLES, third), None, "444"))
    structure = parse_jpeg(memoryview(encoded))
    written = [structure.quantisation[c.table] for c in structure.frame.components]
    assert written == [*ODD_TABLES, third]


def test_colours_that_were_stored_as_they_are_stay_so():
    style = JpegStyle(standard_tables(95), 95, "444", is_rgb=True)
    encoded, _ = encode_style(SMOOTH, style)
    assert bytes(c.identifier for c in parse_jpeg(memoryview(encoded)).frame.components) == b"RGB"
    assert abs(images.decoded(encoded).astype(int) - SMOOTH).mean() < 3


def test_noise_at_the_highest_quality_fits_though_it_grows():
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    tables = ((1,) * 64, (1,) * 64)
    encoded, _ = encode_style(noise, JpegStyle(tables, None, "444", progressive=True))
    assert len(encoded) > 2 * 300 * 300
    assert abs(images.decoded(encoded).astype(int) - noise).max() <= 4


def test_a_side_that_a_jpeg_can_not_have_is_refused_with_the_way_out():
    wide = np.zeros((1, 65_501, 1), np.uint8)
    with pytest.raises(RefusedImage, match="PNG"):
        encode_style(wide, JpegStyle(standard_tables(90), 90, "gray"))
