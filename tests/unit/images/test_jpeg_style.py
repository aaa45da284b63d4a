from __future__ import annotations

import pytest
from tests.support import images

from imgbatch.images.jpeg_markers import Component, parse_jpeg
from imgbatch.images.jpeg_style import DEFAULT_QUALITY, default_style, style_of, subsampling_of
from imgbatch.images.jpeg_tables import standard_tables
from imgbatch.images.notes import Note
from imgbatch.recipe import Encoding, Progressive


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
    assert (kept.quality, kept.subsampling, kept.progressive) == (83, "422", True)
    assert kept.tables[:2] == standard_tables(83)
    assert notes == []


def test_a_quality_that_is_asked_for_replaces_the_sources():
    kept, _ = style(images.jpeg(quality=83, subsampling="4:2:2"), Encoding(quality=40))
    assert (kept.quality, kept.tables, kept.subsampling) == (40, standard_tables(40), "422")


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
    assert (plain.quality, plain.subsampling, plain.progressive) == (DEFAULT_QUALITY, "444", False)
    asked = default_style(1, Encoding(quality=50, progressive=Progressive.YES))
    assert (asked.quality, asked.subsampling, asked.progressive) == (50, "gray", True)
