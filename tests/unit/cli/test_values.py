from __future__ import annotations

from enum import StrEnum
from typing import Any

import click
import msgspec
import pytest
from click.types import convert_type

from imgbatch.cli.options import LONGEST_NAME, SERVER
from imgbatch.cli.values import IntegerOrWord, amount, choice, seconds
from imgbatch.protocol.fields import Name


class Speed(StrEnum):
    FAST = "fast"
    SMALL = "small"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (amount, "1", 1),
        (amount, "250M", 250_000_000),
        (amount, "1.5k", 1500),
        (amount, "256MiB", 256 * 2**20),
        (amount, "2 GB", 2_000_000_000),
        (amount, "1Ki", 1024),
        (seconds, "2.5", 2.5),
        (IntegerOrWord("auto", 1, 9), "auto", None),
        (IntegerOrWord("auto", 1, 9), "3", 3),
        (choice(Speed), "small", Speed.SMALL),
    ],
)
def test_a_text_becomes_the_value_that_it_means(kind: Any, text: str, value: Any) -> None:
    assert convert_type(kind).convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (
            amount,
            ["", "0", "-1", "M", "1X", "1MM", "1.5.2", "many", "inf", "1e400", "9" * 400 + ".5"],
        ),
        (seconds, ["0", "-1", "x", "inf", "nan", ""]),
        (IntegerOrWord("auto", 1, 9), ["0", "10", "1.5", "many", "", "²"]),
        (choice(Speed), ["slow"]),
    ],
)
def test_what_means_nothing_is_refused(kind: Any, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(click.BadParameter) as caught:
            convert_type(kind).convert(text, None, None)
        assert text in caught.value.message


@pytest.mark.parametrize("name", ["", "a\x1b[2Jb", "x" * (LONGEST_NAME + 1)])
def test_a_machine_is_not_called_what_no_frame_or_terminal_takes(name: str) -> None:
    kind = next(option.type for option in SERVER.params if option.name == "name")
    with pytest.raises(click.BadParameter, match="1 to 100 printable characters"):
        kind.convert(name, None, None)
    assert msgspec.convert(f"{'x' * LONGEST_NAME}-01234567", Name)
