from __future__ import annotations

import pytest

from imgbatch.images.picture import Density, Shape


def test_an_array_has_rows_first():
    assert Shape(7, 5, 3).array_shape == (5, 7, 3)


@pytest.mark.parametrize(
    ("density", "unit", "expected"),
    [
        (Density(254, 127, "inch"), "centimetre", Density(100, 50, "centimetre")),
        (Density(100, 50, "centimetre"), "inch", Density(254, 127, "inch")),
        (Density(72, 72, "inch"), "inch", Density(72, 72, "inch")),
        (Density(2, 1, "aspect"), "inch", Density(2, 1, "aspect")),
    ],
)
def test_resolutions_change_their_unit_but_proportions_have_none(density, unit, expected):
    changed = density.in_unit(unit)
    assert (changed.x, changed.y) == pytest.approx((expected.x, expected.y))
    assert changed.unit == expected.unit
