from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgbatch.cli.options import (
    Example,
    Group,
    Kind,
    Option,
    Program,
    Remark,
    amount,
    build_parser,
    parse,
    seconds,
    whole,
)

PROGRAM = Program(
    "tool",
    "tool INPUT [options]",
    "Does things.",
    (
        Group("what", (Option("INPUT", "the input", convert=Path),)),
        Group(
            "how",
            (
                Option("--level", "how much; 0..9", "N", whole(0, 9)),
                Option("--kind", "which", choices=("one", "two")),
                Option("--only", "these", "GLOB", kind=Kind.VALUES),
                Option("--deep", "or not", kind=Kind.ON_OFF),
                Option("--dry-run", "do nothing at 100 %", kind=Kind.SWITCH),
            ),
        ),
    ),
    examples=(Example("tool INPUT --level 3", "does three things"),),
    remarks=(Remark("more", "There is more."),),
    exit_statuses=((0, "all is well"),),
)


def test_only_what_was_given_is_returned() -> None:
    assert parse(PROGRAM, []) == {}
    assert parse(PROGRAM, ["photos"]) == {"input": Path("photos")}


def test_each_kind_of_option_is_understood() -> None:
    arguments = ["--level", "3", "--kind", "two", "--only", "a", "--only", "b", "--no-deep"]
    assert parse(PROGRAM, ["x", *arguments, "--dry-run"]) == {
        "input": Path("x"),
        "level": 3,
        "kind": "two",
        "only": ["a", "b"],
        "deep": False,
        "dry_run": True,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--level", "10"], "--level is '10'; it takes a whole number from 0 to 9"),
        (["--level", "x"], "--level is 'x'"),
        (["--level"], "--level needs a value: --level N"),
        (["--kind", "three"], "--kind is 'three'; it takes one or two"),
        (["--lev", "3"], "--lev is no option; did you mean --level?"),
        (["--colour"], "--colour is no option"),
        (["--deep=yes"], "--deep takes no value"),
        (["one", "two"], "'two' is one argument too many"),
    ],
)
def test_a_mistake_is_named_with_exit_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(PROGRAM, arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_the_help_shows_groups_options_and_examples() -> None:
    text = build_parser(PROGRAM).format_help()
    for words in (
        "tool INPUT [options]", "Does things.", "how:", "--level N", "--kind one|two",
        "--deep, --no-deep", "100 %", "examples:", "does three things", "There is more.",
        "0    all is well",
    ):  # fmt: skip
        assert words in text
    assert max(map(len, text.splitlines())) < 80


@pytest.mark.parametrize("argument", ["--help", "--version", "--print-completion=bash"])
def test_who_asks_for_a_text_gets_it_on_standard_output(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(PROGRAM, [argument])
    assert caught.value.code in {0, None}
    assert "tool" in capsys.readouterr().out


def test_the_key_of_an_option_is_its_name_elsewhere() -> None:
    assert [option.key for option in PROGRAM.options] == [
        "input", "level", "kind", "only", "deep", "dry_run",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("250M", 250_000_000),
        ("1.5k", 1500),
        ("256MiB", 256 * 2**20),
        ("2 GB", 2_000_000_000),
        ("1Ki", 1024),
    ],
)
def test_amounts_may_have_units(text: str, number: int) -> None:
    assert amount(text) == number


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        *((amount, text) for text in ("", "0", "-1", "M", "1X", "many", "inf", "nan", "1e400")),
        *((seconds, text) for text in ("0", "-1", "x", "inf", "nan", "")),
        *((whole(1), text) for text in ("0", "1.5", "x", "")),
    ],
)
def test_what_is_no_such_number_is_refused(convert: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError, match="a "):
        convert(text)
