from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import images, tiffs

from imgbatch.errors import Code, LimitExceeded
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.picture import Shape


@given(width=st.integers(1, 10**6), height=st.integers(1, 10**6), most=st.integers(1, 10**12))
def test_pixels_are_refused_exactly_above_the_limit(width, height, most):
    limits = Limits(max_pixels=most)
    if width * height <= most:
        limits.check_shape(Shape(width, height, 3))
    else:
        for channels in (1, 3):
            with pytest.raises(LimitExceeded) as caught:
                limits.check_shape(Shape(width, height, channels))
        assert caught.value.code is Code.TOO_MANY_PIXELS
        assert f"--max-pixels {most}" in str(caught.value)
        assert f"{width} x {height}" in str(caught.value)


def test_bytes_are_refused_exactly_above_the_limit():
    Limits(max_bytes=10).check_bytes(10)
    with pytest.raises(LimitExceeded, match=r"11 bytes.*--max-bytes 10") as caught:
        Limits(max_bytes=10).check_bytes(11)
    assert caught.value.code is Code.TOO_MANY_BYTES


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_pixels_of_more_bytes_count_for_more(kind):
    make = images.png_of if kind == "png" else tiffs.tiff
    deep, plain = make(images.pixels(channels=4, bits=16)), make(images.pixels())
    limits = Limits(max_pixels=48 * 32)
    inspect(memoryview(plain), limits)
    with pytest.raises(LimitExceeded, match=r"48 x 32 .* of 4 x 16 bits") as caught:
        inspect(memoryview(deep), limits)
    assert caught.value.code is Code.TOO_MANY_PIXELS
    inspect(memoryview(deep), Limits(max_pixels=48 * 32 * 8 // 3))


def test_a_lossless_webp_counts_for_what_its_encoder_takes():
    lossy, lossless = (images.webp(lossless=lossless) for lossless in (False, True))
    inspect(memoryview(lossy), Limits(max_pixels=48 * 32))
    with pytest.raises(LimitExceeded):
        inspect(memoryview(lossless), Limits(max_pixels=48 * 32 * 2))
    inspect(memoryview(lossless), Limits(max_pixels=48 * 32 * 3))


def test_limits_are_tightened_and_never_widened() -> None:
    limits = Limits(max_pixels=100, max_bytes=7)
    assert limits.tightened(None) == limits.tightened(1000) == limits
    assert limits.tightened(10) == Limits(max_pixels=10, max_bytes=7)
