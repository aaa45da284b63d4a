from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgbatch.batch.thumbnails import MOST_KEPT, is_wanted, jpeg_size, rank


@pytest.mark.parametrize("files", [1, 10, 40, 400, 4000, 100_000])
def test_a_sample_is_bounded_and_spread_evenly(files: int) -> None:
    wanted = [index for index in range(1, files + 1) if is_wanted(index, files)]
    assert min(files, 12) - 2 <= len(wanted) <= MOST_KEPT + 2
    edges = [0, *wanted, files + 1]
    gaps = [after - before for before, after in pairwise(edges)]
    assert max(gaps) <= 3 * files / len(wanted) + 1


def test_what_is_wanted_while_more_files_are_found_stays_few() -> None:
    wanted = sum(is_wanted(index, index) for index in range(1, 100_001))
    assert wanted < 500


@given(st.integers(1, 2000))
def test_the_first_by_rank_are_those_that_a_smaller_sample_would_want(files: int) -> None:
    by_rank = sorted(range(1, files + 1), key=rank)
    wanted = {index for index in by_rank if is_wanted(index, files)}
    assert wanted == set(by_rank[: len(wanted)])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 500}])
def test_a_jpeg_s_size_is_read_from_its_headers(options: dict[str, object]) -> None:
    kept = io.BytesIO()
    Image.new("RGB", (480, 321)).save(kept, "JPEG", **options)
    assert jpeg_size(kept.getvalue()) == (480, 321)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_without_harm(data: bytes, begins_well: bool) -> None:
    size = jpeg_size(b"\xff\xd8" * begins_well + data)
    assert size is None or min(size) > 0
