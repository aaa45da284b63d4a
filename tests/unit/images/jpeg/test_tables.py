from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.support import images

from imgbatch.images.jpeg.tables import (
    STANDARD_HUFFMAN_COUNTS,
    ZIGZAG,
    nearest_quality,
    parse_huffman_counts,
    parse_quantisation_tables,
    standard_quality,
    standard_tables,
)


def bodies(file: bytes, marker: int) -> list[bytes]:
    found, position = [], 2
    while file[position + 1] != 0xDA:
        stop = position + 2 + int.from_bytes(file[position + 2 : position + 4], "big")
        if file[position + 1] == marker:
            found.append(file[position + 4 : stop])
        position = stop
    return found


@pytest.mark.parametrize("quality", [1, 24, 49, 50, 51, 75, 99, 100])
def test_the_tables_of_a_quality_are_those_that_libjpeg_writes(quality):
    tables = {}
    for body in bodies(images.jpeg(quality=quality), 0xDB):
        tables |= parse_quantisation_tables(body)
    assert (tables[0], tables[1]) == standard_tables(quality)


def test_every_quality_is_found_again_in_its_tables():
    found = [standard_quality(standard_tables(quality)) for quality in range(1, 101)]
    assert found == list(range(1, 101))


def test_luma_and_chroma_of_different_qualities_have_no_quality_in_common():
    assert standard_quality((standard_tables(90)[0], standard_tables(80)[1])) is None


@pytest.mark.parametrize("quality", [20, 60, 90])
def test_the_nearest_quality_of_disturbed_tables_is_near(quality):
    random = np.random.default_rng(quality)
    disturbed = tuple(
        tuple(max(1, value + int(random.integers(-1, 2))) for value in table)
        for table in standard_tables(quality)
    )
    assert abs(nearest_quality(disturbed) - quality) <= 2


def test_the_zigzag_visits_every_place_once_and_each_step_is_to_a_neighbour():
    assert sorted(ZIGZAG) == list(range(64))
    steps = {(abs(a // 8 - b // 8), abs(a % 8 - b % 8)) for a, b in pairwise(ZIGZAG)}
    assert steps <= {(0, 1), (1, 0), (1, 1)}


def test_tables_of_16_bits_are_read():
    stored = [300 + index for index in range(64)]
    body = b"\x11" + b"".join(value.to_bytes(2, "big") for value in stored)
    table = parse_quantisation_tables(body)[1]
    assert [table[place] for place in ZIGZAG] == stored


@pytest.mark.parametrize(
    "body", [b"\0" * 64, b"\x20" + bytes(64), b"\x04" + bytes(64), b"\x10" * 65]
)
def test_a_malformed_quantisation_table_is_none(body):
    assert parse_quantisation_tables(body) is None


def test_usual_huffman_tables_are_told_from_made_ones():
    usual = [c for b in bodies(images.jpeg(), 0xC4) for c in parse_huffman_counts(b)]
    made = [c for b in bodies(images.jpeg(optimize=True), 0xC4) for c in parse_huffman_counts(b)]
    assert STANDARD_HUFFMAN_COUNTS.issuperset(usual)
    assert not STANDARD_HUFFMAN_COUNTS.issuperset(made)


@pytest.mark.parametrize("body", [b"\0" * 10, b"\0" + b"\1" * 16 + b"x" * 15])
def test_a_malformed_huffman_table_is_none(body):
    assert parse_huffman_counts(body) is None
