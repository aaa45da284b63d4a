from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.adjustment import Adjustment
from imgbatch.errors import UsageError
from imgbatch.recipe import (
    DamagedPolicy,
    Encoding,
    OutputFormat,
    PngLevel,
    Progressive,
    Recipe,
)

FIELDS = Recipe().to_fields()


@given(
    st.builds(
        Recipe,
        st.builds(Adjustment, st.integers(-100, 100), st.integers(-100, 100), st.integers(0, 100)),
        st.builds(
            Encoding,
            st.sampled_from(OutputFormat),
            st.none() | st.integers(1, 100),
            st.sampled_from(Progressive),
            st.sampled_from(PngLevel),
            st.booleans(),
            st.sampled_from(DamagedPolicy),
        ),
    )
)
def test_a_recipe_comes_back_from_its_fields(recipe: Recipe) -> None:
    fields = recipe.to_fields()
    assert Recipe.from_fields(fields) == recipe
    assert json.loads(json.dumps(fields)) == fields


@pytest.mark.parametrize("quality", [0, 101, 85.0, "85", True])
def test_a_quality_is_a_whole_number_from_1_to_100(quality: object) -> None:
    with pytest.raises(UsageError, match="quality"):
        Encoding(quality=quality)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"brightness": 101},
        {"contrast": "20"},
        {"quality": 0},
        {"output_format": "gif"},
        {"progressive": 1},
        {"strip_metadata": "no"},
        {"damaged": None},
    ],
)
def test_fields_of_another_type_or_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Recipe.from_fields({**FIELDS, **change})


def test_fields_that_are_missing_or_unknown_are_refused() -> None:
    missing = {name: value for name, value in FIELDS.items() if name != "contrast"}
    for fields in (missing, {**FIELDS, "hue": 1}):
        with pytest.raises(UsageError, match="fields"):
            Recipe.from_fields(fields)
