from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.errors import FileError, UsageError
from imgbatch.storage.reference import LONGEST_URL, Reference

REFERENCES = st.builds(
    Reference,
    source=st.text(max_size=50),
    target=st.text(max_size=50),
    folder=st.text(max_size=50),
    size_bytes=st.integers(0, 2**53),
    modified_ns=st.integers(-(2**63), 2**63 - 1),
    mode=st.integers(0, 0o7777),
    etag=st.text(max_size=50),
    preserve=st.booleans(),
    overwrite=st.booleans(),
)


@given(REFERENCES)
def test_a_reference_survives_a_frame(reference: Reference) -> None:
    assert Reference.from_fields(reference.to_fields()) == reference


@given(REFERENCES, st.sampled_from([it.name for it in fields(Reference)]))
def test_a_field_that_lacks_or_is_of_another_type_is_refused(
    reference: Reference, name: str
) -> None:
    values = reference.to_fields()
    lacking = {key: value for key, value in values.items() if key != name}
    for wrong in (lacking, values | {name: None}, values | {name: 1.5}, values | {"more": 1}):
        with pytest.raises(UsageError):
            Reference.from_fields(wrong)


@pytest.mark.parametrize("values", [{"size_bytes": -1}, {"mode": 0o10000}, {"modified_ns": "soon"}])
def test_a_number_out_of_range_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Reference.from_fields(Reference().to_fields() | values)


def test_a_name_that_is_too_long_for_a_frame_costs_only_its_file() -> None:
    with pytest.raises(FileError):
        Reference("s3://bucket/" + "a" * LONGEST_URL).to_fields()
