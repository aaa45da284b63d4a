from __future__ import annotations

import numpy as np
import pytest

from imgbatch.images import buffers
from imgbatch.images.buffers import Buffers
from imgbatch.images.picture import Shape


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_arrays_have_the_shape_and_type_asked_for(bits, dtype):
    array = Buffers().get("pixels", Shape(7, 5, 3, bits))
    assert array.shape == (5, 7, 3)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_memory_is_kept_for_what_fits_and_grows_for_what_does_not():
    kept = Buffers()
    large = kept.get("pixels", Shape(100, 100, 3))
    small = kept.get("pixels", Shape(50, 50, 3, 16))
    assert np.shares_memory(large, small)
    larger = kept.get("pixels", Shape(200, 100, 3))
    assert not np.shares_memory(large, larger)


def test_names_do_not_share_memory():
    kept = Buffers()
    assert not np.shares_memory(kept.get("a", Shape(9, 9, 1)), kept.get("b", Shape(9, 9, 1)))


def test_a_giant_is_not_kept(monkeypatch):
    monkeypatch.setattr(buffers, "LARGEST_KEPT_BYTES", 1000)
    kept = Buffers()
    giant = kept.get("pixels", Shape(1001, 1, 1))
    assert not np.shares_memory(giant, kept.get("pixels", Shape(1001, 1, 1)))
    usual = kept.get("pixels", Shape(1000, 1, 1))
    assert np.shares_memory(usual, kept.get("pixels", Shape(10, 1, 1)))
