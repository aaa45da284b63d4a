from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, UsageError
from imgbatch_kernels.coefficients import FACTOR_RANGES


@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(0, 100))
def test_all_factors_in_range_are_taken(brightness: int, contrast: int, sharpness: int) -> None:
    adjustment = Adjustment(brightness, contrast, sharpness)
    assert adjustment.is_neutral == (brightness == contrast == sharpness == 0)


@pytest.mark.parametrize("name", FACTOR_RANGES)
@pytest.mark.parametrize("off", [-1, 1])
def test_factors_out_of_range_are_refused_by_name(name: str, off: int) -> None:
    lowest, highest = FACTOR_RANGES[name]
    value = lowest - 1 if off < 0 else highest + 1
    with pytest.raises(
        UsageError, match=f"^{name} .* {lowest} to {highest}, not {value}$"
    ) as caught:
        Adjustment(**{name: value})
    assert caught.value.code is Code.FACTOR_OUT_OF_RANGE


@pytest.mark.parametrize("value", [1.0, "1", True, None])
def test_only_whole_numbers_are_factors(value: object) -> None:
    with pytest.raises(UsageError):
        Adjustment(brightness=value)  # type: ignore[arg-type]
