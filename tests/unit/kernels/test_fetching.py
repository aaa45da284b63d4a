import platform

import numpy as np
import pytest
from numba import njit

from imgbatch_kernels import compiler
from imgbatch_kernels.fetching import ROWS_AHEAD, fetch


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads instructions of x86")
@pytest.mark.parametrize("dtype_name", ["uint8", "uint16"])
def test_requests_are_made_one_at_a_time(dtype_name):
    requests = compiler.assembly(dtype_name).count("prefetch")
    assert 2 <= requests <= 6  # in a loop that LLVM unrolled it would be hundreds


def test_a_request_changes_nothing():
    @njit
    def ask(samples):
        for at in range(0, samples.size, 16):
            fetch(samples, at)

    samples = np.arange(256, dtype=np.uint8)
    ask(samples)
    assert (samples == np.arange(256)).all()


@pytest.mark.parametrize("height", [1, ROWS_AHEAD, ROWS_AHEAD + 1, 9])
def test_images_of_fewer_rows_than_are_asked_for_ahead_are_adjusted_too(height):
    from imgbatch_kernels import adjust, reference

    image = np.random.default_rng(height).integers(0, 256, (height, 70, 3), np.uint8)
    for factors in ({"contrast": 30}, {"contrast": 30, "sharpness": 50}):
        expected = reference.adjust(image, **factors)
        np.testing.assert_array_equal(adjust(image.copy(), **factors, out=None), expected)
        in_place = image.copy()
        np.testing.assert_array_equal(adjust(in_place, **factors, out=in_place), expected)
