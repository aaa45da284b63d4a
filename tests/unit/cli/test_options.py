"""What all commands have in common."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from imgbatch.cli.main import parse, run
from imgbatch.cli.option_types import Option, Program, forms_of
from imgbatch.cli.options import PROGRAMS

programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


def help_of(program: Program, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(program, lambda _given: 1, ["--help"]) == 0
    return capsys.readouterr().out


@programs
def test_the_help_fits_a_terminal_of_80_columns(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in help_of(program, capsys).splitlines() if len(line) > 79] == []


@programs
def test_the_help_shows_every_form_of_every_option(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(program, capsys)
    for option in program.options:
        assert all(form in text for form in forms_of(option))
        assert option.help
        assert option.help[-1] != "."


@programs
def test_the_help_loads_nothing_that_is_slow(program: Program) -> None:
    module = str(program.name).replace("imgbatch-", "imgbatch.cli.")
    # Without those that were there before, as coverage's own are.
    code = (
        f"import sys; before = set(sys.modules); from {module} import main; "
        "main(['--help']); print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {"numba", "llvmlite", "cv2", "pika", "rich", "numpy", "PIL", "sqlite3"}
    assert heavy & set(done.stdout.split()) == set()


@programs
def test_every_example_is_a_command_that_the_parser_understands(program: Program) -> None:
    for example in program.prose["examples"]:
        words = shlex.split(example.partition("|")[0])
        parse(program, words[words.index(str(program.name)) + 1 :])


def test_an_option_of_several_programs_means_one_thing_in_the_settings_file() -> None:
    kinds: dict[str, set[str]] = {}
    for program in PROGRAMS:
        for option in program.options:
            if isinstance(option, Option) and option.everywhere:
                kinds.setdefault(option.key, set()).add(f"{option.metavar} {option.type}")
    assert {key for key, names in kinds.items() if len(names) > 1} == set()


@programs
def test_a_help_that_is_read_no_further_is_no_error(program: Program) -> None:
    module = str(program.name).replace("imgbatch-", "imgbatch.cli.")
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")
