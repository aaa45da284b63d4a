from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.adjustment import Adjustment
from imgbatch.cli.explain import explain
from imgbatch_kernels import reference


@given(st.integers(-100, 100), st.integers(-100, 100))
def test_the_points_that_are_shown_are_what_the_reference_does(
    brightness: int, contrast: int
) -> None:
    text = explain(Adjustment(brightness, contrast))
    pairs = re.findall(r"(\d+) → (\d+)", text)
    values = np.array([[int(before) for before, _ in pairs]], np.uint8)
    expected = reference.adjust(values, brightness=brightness, contrast=contrast)
    assert [int(after) for _, after in pairs] == expected[0].tolist()


def test_the_numbers_are_those_of_the_arithmetic() -> None:
    text = explain(Adjustment(10, 20, 60))
    assert "p = (358·v - 10496) / 256" in text
    assert "154/256" in text


def test_nothing_to_do_is_said() -> None:
    assert "stays as it is" in explain(Adjustment())


@pytest.mark.parametrize("factor", [-100, 0, 100])
def test_the_explanation_fits_a_terminal(factor: int) -> None:
    lines = explain(Adjustment(factor, factor, abs(factor))).splitlines()
    assert max(map(len, lines)) <= 88
