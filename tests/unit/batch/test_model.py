from __future__ import annotations

import dataclasses

import pytest

from imgbatch.batch.model import Failure, Job, MachineUse, Outcome
from imgbatch.errors import Code, ImageError


def test_a_failure_is_what_an_error_says() -> None:
    error = ImageError(Code.EMPTY_FILE, "a.jpg is empty")
    assert Failure.of(error) == Failure(Code.EMPTY_FILE, "a.jpg is empty")


@pytest.mark.parametrize("kind", [Failure, Job, MachineUse, Outcome])
def test_the_values_of_a_run_do_not_change(kind: type) -> None:
    first, *_ = dataclasses.fields(kind)
    value = kind.__new__(kind)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, first.name, 1)
