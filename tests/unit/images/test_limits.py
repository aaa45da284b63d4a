from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.errors import Code, LimitExceeded
from imgbatch.images.limits import Limits


@given(width=st.integers(1, 10**6), height=st.integers(1, 10**6), most=st.integers(1, 10**12))
def test_pixels_are_refused_exactly_above_the_limit(width, height, most):
    limits = Limits(max_pixels=most)
    if width * height <= most:
        limits.check_pixels(width, height)
    else:
        with pytest.raises(LimitExceeded) as caught:
            limits.check_pixels(width, height)
        assert caught.value.code is Code.TOO_MANY_PIXELS
        assert f"--max-pixels {most}" in str(caught.value)
        assert f"{width} x {height}" in str(caught.value)


def test_bytes_are_refused_exactly_above_the_limit():
    Limits(max_bytes=10).check_bytes(10)
    with pytest.raises(LimitExceeded, match=r"11 bytes.*--max-bytes 10") as caught:
        Limits(max_bytes=10).check_bytes(11)
    assert caught.value.code is Code.TOO_MANY_BYTES


def test_the_defaults_are_250_million_pixels_and_256_mebibytes():
    assert Limits() == Limits(250_000_000, 268_435_456)


def test_limits_are_tightened_and_never_widened() -> None:
    limits = Limits(max_pixels=100, max_bytes=7)
    assert limits.tightened(None) == limits.tightened(1000) == limits
    assert limits.tightened(10) == Limits(max_pixels=10, max_bytes=7)
