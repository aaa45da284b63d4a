"""The kinds of frames as values."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest
from tests.support.frames import EXAMPLES, ticket

from imgbatch import protocol
from imgbatch.protocol.codec import KINDS, checks_of
from imgbatch.protocol.frames import Frame, ResultKind


def test_there_is_an_example_of_every_kind() -> None:
    assert list(KINDS) == [kind.__name__.lower() for kind in get_args(Frame)]
    assert set(EXAMPLES) == set(KINDS)
    assert all(type(frame) is KINDS[name] for name, (frame, _) in EXAMPLES.items())


@pytest.mark.parametrize("name", KINDS)
def test_every_field_has_a_check(name: str) -> None:
    checks = checks_of(name)
    assert list(checks) == [item.name for item in dataclasses.fields(KINDS[name])]
    assert all(callable(check) for check in checks.values())


def test_frames_are_values() -> None:
    assert ticket() == ticket()
    with pytest.raises(dataclasses.FrozenInstanceError):
        ticket().job = 8  # type: ignore[misc]


def test_every_kind_and_limit_is_exported() -> None:
    exported = set(protocol.__all__)
    assert {kind.__name__ for kind in KINDS.values()} <= exported
    assert all(hasattr(protocol, name) for name in exported)


def test_result_kinds_are_words_on_the_wire() -> None:
    assert [str(kind) for kind in ResultKind] == ["done", "written", "failed", "skipped"]
