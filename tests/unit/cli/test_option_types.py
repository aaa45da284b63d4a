from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click import Argument, IntRange

from imgbatch.cli.main import parse, run
from imgbatch.cli.option_types import Group, Option, Program
from imgbatch.cli.options import STATUS
from imgbatch.cli.values import GLOB, PATH, choice
from imgbatch.errors import Code, EngineError


@pytest.fixture(autouse=True)
def no_settings_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")


TOOL = Program(
    "tool",
    Group(
        "what", Argument(["source"], help="the input", metavar="INPUT", type=PATH, required=False)
    ),
    Group(
        "how",
        Option("--level N", "how much; 0..9", IntRange(0, 9), "level_of_detail"),
        Option("--kind", "which", choice(("one", "two"))),
        Option("--only GLOB", "these", GLOB, multiple=True),
        Option("--deep/--no-deep", "or not"),
        Option("--dry-run", "do nothing at 100 %", everywhere=False),
    ),
    Group("else", Option("--dryer", "drier"), needs="dry_run"),
)
TOOL.prose = {
    "summary": "Does things.",
    "examples": {"tool INPUT --level 3": "does three things"},
    "remarks": {"more": "There is more."},
    "exit-statuses": {"0": "all is well"},
}


def status_of(*arguments: str) -> int:
    return run(TOOL, lambda _given: 0, arguments)


def test_only_what_was_given_is_returned() -> None:
    assert parse(TOOL, []) == {}
    assert parse(TOOL, ["photos"]) == {"source": Path("photos")}


def test_each_kind_of_option_has_its_value_by_its_field() -> None:
    arguments = ["--level", "3", "--kind", "two", "--only", "a", "--only", "b", "--no-deep"]
    assert parse(TOOL, ["x", *arguments, "--dry-run"]) == {
        "source": Path("x"),
        "level_of_detail": 3,
        "kind": "two",
        "only": ("a", "b"),
        "deep": False,
        "dry_run": True,
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--level", "10"], "Invalid value for '--level' (env var: 'IMGBATCH_LEVEL'): 10 is not in "
         "the range 0<=x<=9."),
        (["--level", "-1"], "Invalid value for '--level' (env var: 'IMGBATCH_LEVEL'): -1 is not in "
         "the range 0<=x<=9."),
        (["--level"], "Option '--level' requires an argument."),
        (["--kind", "three"], "Invalid value for '--kind' (env var: 'IMGBATCH_KIND'): 'three' is "
         "not one of 'one', 'two'."),
        (["--lev", "3"], "No such option '--lev'. Did you mean '--level'?"),
        (["--colour"], "No such option '--colour'."),
        (["--deep=yes"], "Option '--deep' does not take a value."),
        (["--no-deep=yes"], "Option '--no-deep' does not take a value."),
        (["one", "two"], "Got unexpected extra argument (two)"),
        (["--dryer"], "--dryer has no meaning without --dry-run; give both, or leave it out"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_exit_status_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(*arguments) == 2
    assert capsys.readouterr() == ("", f"tool: {sentence}\n")


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("IMGBATCH_LEVEL", "'x' is not a valid integer range"),
        ("IMGBATCH_DEEP", "'x' is not a valid boolean"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    variable: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "x")
    assert status_of() == 2
    said = capsys.readouterr().err
    assert variable in said
    assert sentence in said


@pytest.mark.parametrize("argument", ["--help", "-h", "--version", "--print-completion=bash"])
def test_a_text_that_is_asked_for_comes_whatever_the_environment_and_files_hold(
    argument: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMGBATCH_LEVEL", "x")
    monkeypatch.setenv("IMGBATCH_CONFIG", "/nonexistent/file.toml")
    assert status_of(argument) == 0
    out, err = capsys.readouterr()
    assert "tool" in out
    assert err == ""


def test_the_help_shows_groups_options_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    status_of("--help")
    text = capsys.readouterr().out
    for words in (
        "tool INPUT [options]", "Does things.", "how:", "--level N", "--kind one|two",
        "--deep, --no-deep", "100 %", "examples:", "does three things", "There is more.",
        "0  all is well",
    ):  # fmt: skip
        assert words in text


def test_an_option_for_the_command_line_is_not_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMGBATCH_DRY_RUN", "yes")
    assert parse(TOOL, []) == {}


def test_a_failure_is_its_sentence_and_its_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_given: object) -> int:
        raise EngineError(Code.DISK_FULL, "the disk is full")

    assert run(TOOL, fail, []) == 3
    assert capsys.readouterr().err == "tool: the disk is full\n"


def test_a_bug_is_a_sentence_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_given: object) -> int:
        raise ZeroDivisionError("oh")

    monkeypatch.delenv("IMGBATCH_TRACEBACK", raising=False)
    assert run(TOOL, broken, []) == 3
    assert "please report it: ZeroDivisionError('oh')" in capsys.readouterr().err
    monkeypatch.setenv("IMGBATCH_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run(TOOL, broken, [])


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
def test_a_password_without_tls_is_worth_a_warning_to_every_program(
    scheme: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMGBATCH_BROKER", f"{scheme}://user:s3cret@far.example/")
    monkeypatch.setenv("IMGBATCH_TLS_CA", "/etc/ca.pem")
    given: dict[str, Any] = {}
    assert run(STATUS, lambda values: given.update(values) or 0, []) == 0
    assert given["broker"] == f"{scheme}://user:s3cret@far.example/?cacertfile=%2Fetc%2Fca.pem"
    warning = (
        "imgbatch-status: warning: the password for amqp://user@far.example/ is sent without TLS; "
        "use amqps:// unless the network is your own\n"
    )
    assert capsys.readouterr().err == (warning if scheme == "amqp" else "")
