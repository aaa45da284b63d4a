from __future__ import annotations

from enum import StrEnum
from typing import Any

import click
import pytest

from imgbatch.cli.programs import LONGEST_NAME, SERVER
from imgbatch.cli.values import COUNT, PROCS, SECONDS, SIZE, Value, choice, integer, or_word
from imgbatch.protocol.fields import SHORT_TEXT


class Speed(StrEnum):
    FAST = "fast"
    SMALL = "small"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (SIZE, "1", 1),
        (COUNT, "250M", 250_000_000),
        (COUNT, "1.5k", 1500),
        (SIZE, "256MiB", 256 * 2**20),
        (SIZE, "2 GB", 2_000_000_000),
        (SIZE, "1Ki", 1024),
        (SECONDS, "2.5", 2.5),
        (PROCS, "auto", None),
        (PROCS, "3", 3),
        (or_word("keep", None, integer(1, 100)), "keep", None),
        (or_word("keep", None, integer(1, 100)), "85", 85),
        (choice(Speed), "small", Speed.SMALL),
    ],
)
def test_a_text_becomes_the_value_that_it_means(kind: Value, text: str, value: Any) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "texts", "words"),
    [
        (
            SIZE,
            [
                "",
                "0",
                "-1",
                "M",
                "1X",
                "1MM",
                "1.5.2",
                "many",
                "inf",
                "nan",
                "1e400",
                "9" * 400 + ".5",
            ],
            "a number from 1",
        ),
        (SECONDS, ["0", "-1", "x", "inf", "nan", ""], "a number of seconds above 0"),
        (integer(1), ["0", "1.5", "x", "", "True"], "an integer from 1"),
        (integer(1, 9), ["10"], "an integer from 1 to 9"),
        (PROCS, ["0", "-1", "1.5", "many", "", "²"], "'auto' or an integer from 1"),
        (or_word("keep", None, integer(1, 9)), ["0", "no"], "'keep' or an integer from 1 to 9"),
        (choice(Speed), ["slow"], "fast or small"),
        (choice(["a", "b", "c"]), ["d"], "a, b or c"),
    ],
)
def test_what_means_nothing_is_refused_with_what_it_must_be(
    kind: Value, texts: list[str], words: str
) -> None:
    for text in texts:
        with pytest.raises(click.BadParameter) as caught:
            kind.convert(text, None, None)
        assert caught.value.message.startswith(f"must be {words}")
        assert caught.value.message.endswith(f", not {text!r}")


@pytest.mark.parametrize("name", ["", "a\x1b[2Jb", "x" * (LONGEST_NAME + 1)])
def test_a_machine_is_not_called_what_no_frame_or_terminal_takes(name: str) -> None:
    kind = next(option.type for option in SERVER.params if option.name == "name")
    with pytest.raises(click.BadParameter, match="1 to 100 printable characters"):
        kind.convert(name, None, None)
    SHORT_TEXT("machine", f"{'x' * LONGEST_NAME}-01234567")
