"""What all commands have in common."""

from __future__ import annotations

import shlex

import pytest

from imgbatch.cli.client_options import CLIENT
from imgbatch.cli.options import COMMON, Program, build_parser
from imgbatch.cli.preview_options import PREVIEW
from imgbatch.cli.server_options import SERVER, STATUS

programs = pytest.mark.parametrize(
    "program", [CLIENT, PREVIEW, SERVER, STATUS], ids=lambda program: program.name
)


@programs
def test_the_help_fits_a_terminal_of_80_columns(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = build_parser(program).format_help()
    assert [line for line in text.splitlines() if len(line) > 79] == []


@programs
def test_the_help_shows_every_form_of_every_option(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = build_parser(program).format_help()
    for option in (*program.options, *COMMON.options):
        assert all(form in text for form in option.forms)


@programs
def test_every_example_is_a_command_that_the_parser_understands(program: Program) -> None:
    parser = build_parser(program)
    for example in program.examples:
        words = shlex.split(example.command.partition("|")[0])
        _, unknown = parser.parse_known_args(words[words.index(program.name) + 1 :])
        assert unknown == []
