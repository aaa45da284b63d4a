from __future__ import annotations

import numpy as np
import pytest
from tests.support import images

from imgbatch.images.jpeg.container import parse_jpeg
from imgbatch.images.jpeg.encode import (
    has_standard_huffman,
    nearest_quality,
    standard_quality,
    standard_tables,
)


@pytest.mark.parametrize("quality", [1, 24, 49, 50, 51, 75, 99, 100])
def test_the_tables_of_a_quality_are_those_that_other_encoders_write(quality):
    tables = parse_jpeg(memoryview(images.jpeg(quality=quality))).quantisation
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


def test_tables_of_16_bits_are_read():
    stored = tuple(300 + index for index in range(64))
    body = b"\x13" + b"".join(value.to_bytes(2, "big") for value in stored)
    file = images.with_segments(images.jpeg(), images.segment(0xDB, body))
    assert parse_jpeg(memoryview(file)).quantisation[3] == stored


def test_usual_huffman_tables_are_told_from_made_ones():
    usual, made = (parse_jpeg(memoryview(images.jpeg(optimize=it))) for it in (False, True))
    assert has_standard_huffman(usual)
    assert not has_standard_huffman(made)
