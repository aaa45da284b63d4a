"""What each type of field takes, and what it refuses."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.frames import values_of

from imgbatch.errors import FrameTooLarge, MalformedFrame
from imgbatch.protocol.fields import (
    LARGEST_NUMBER,
    ListOf,
    OneOf,
    PlainMap,
    RealNumber,
    RoutingKey,
    Text,
    TrueOrFalse,
    WholeNumber,
)

CHECKS = [
    WholeNumber(1, 9),
    RealNumber(LARGEST_NUMBER),
    TrueOrFalse(),
    OneOf(("done", "failed")),
    Text(10),
    RoutingKey(),
    ListOf(WholeNumber(0, 9), 3),
    PlainMap(5),
]

REFUSED: list[tuple[Any, Any, type[Exception]]] = [
    (WholeNumber(1, 9), 0, FrameTooLarge),
    (WholeNumber(1, 9), 10, FrameTooLarge),
    (WholeNumber(0, 1), True, MalformedFrame),
    (WholeNumber(1, 9), 5.0, MalformedFrame),
    (WholeNumber(1, 9), None, MalformedFrame),
    (RealNumber(100), -0.5, FrameTooLarge),
    (RealNumber(100), 100.5, FrameTooLarge),
    (RealNumber(100), float("inf"), FrameTooLarge),
    (RealNumber(100), float("nan"), FrameTooLarge),
    (RealNumber(100), 10**400, FrameTooLarge),
    (RealNumber(100), False, MalformedFrame),
    (RealNumber(100), "1", MalformedFrame),
    (TrueOrFalse(), 1, MalformedFrame),
    (TrueOrFalse(), None, MalformedFrame),
    (OneOf(("done",)), "undone", MalformedFrame),
    (OneOf(("done",)), ["done"], MalformedFrame),
    (Text(3), "four", FrameTooLarge),
    (Text(30), b"bytes", MalformedFrame),
    (Text(30), "a bell \a", MalformedFrame),
    (Text(30), "two\nlines", MalformedFrame),
    (Text(30), "\x1b[2J", MalformedFrame),
    (Text(30), "backwards \u202e", MalformedFrame),
    (Text(30), "half a pair \ud800", MalformedFrame),
    (RoutingKey(), "a" * 256, FrameTooLarge),
    (RoutingKey(), "é" * 200, MalformedFrame),
    (RoutingKey(), "", MalformedFrame),
    (RoutingKey(), "imgbatch.#", MalformedFrame),
    (RoutingKey(), "two words", MalformedFrame),
    (RoutingKey(), "imgbatch.a\n", MalformedFrame),
    (RoutingKey(), b"imgbatch", MalformedFrame),
    (ListOf(Text(3), 2), ["a", "b", "c"], FrameTooLarge),
    (ListOf(Text(3), 2), ["a", 1], MalformedFrame),
    (ListOf(Text(3), 2), "ab", MalformedFrame),
    (ListOf(Text(3), 2), {"a": 1}, MalformedFrame),
    (ListOf(Text(3), 2), bytearray(b"a"), MalformedFrame),
    (PlainMap(1), {"a": 1, "b": 2}, FrameTooLarge),
    (PlainMap(1), {"a": 2**53 + 1}, FrameTooLarge),
    (PlainMap(1), {"a": "x" * 2001}, FrameTooLarge),
    (PlainMap(1), {"a" * 201: 1}, FrameTooLarge),
    (PlainMap(1), {"a": 1.5}, MalformedFrame),
    (PlainMap(1), {"a": ["b"]}, MalformedFrame),
    (PlainMap(1), {b"a": 1}, MalformedFrame),
    (PlainMap(1), [("a", 1)], MalformedFrame),
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
@given(data=st.data())
def test_what_is_within_the_bounds_is_taken(check: Any, data: st.DataObject) -> None:
    check("field", data.draw(values_of(check)))


@pytest.mark.parametrize(("check", "value", "error"), REFUSED)
def test_anything_else_is_refused_by_the_name_of_its_field(
    check: Any, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="the_field"):
        check("the_field", value)


@settings(max_examples=30)
@pytest.mark.parametrize("check", CHECKS, ids=str)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.binary(), inner),
    )
)
def test_a_check_raises_only_what_it_documents(check: Any, value: Any) -> None:
    with suppress(MalformedFrame, FrameTooLarge):
        check("field", value)


def test_what_is_refused_is_told_without_repeating_long_text() -> None:
    with pytest.raises(FrameTooLarge) as caught:
        Text(10)("field", "secret" * 1000)
    assert "secret" not in str(caught.value)
