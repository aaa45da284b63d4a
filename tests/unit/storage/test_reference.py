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


@given(REFERENCES, st.sampled_from([it.name for it in fields(Reference)]), st.data())
def test_a_field_of_another_type_or_that_lacks_is_refused(
    reference: Reference, name: str, data: st.DataObject
) -> None:
    values = reference.to_fields()
    other = data.draw(st.sampled_from([None, "word", -1, 1.5]))
    with pytest.raises(UsageError):
        Reference.from_fields(
            {key: value for key, value in values.items() if key != name}
            if isinstance(other, str) and isinstance(values[name], str) and name != "modified_ns"
            else values | {name: other if other != -1 or name != "modified_ns" else "word"}
        )
    with pytest.raises(UsageError):
        Reference.from_fields(values | {"more": 1})


def test_a_name_that_is_too_long_for_a_frame_costs_only_its_file() -> None:
    with pytest.raises(FileError):
        Reference("s3://bucket/" + "a" * LONGEST_URL).to_fields()
