"""The options of imgbatch-server and imgbatch-status."""

from __future__ import annotations

from typing import Any

import pytest

from imgbatch.cli.config import environment_options
from imgbatch.cli.options import build_parser, parse
from imgbatch.cli.server_options import LONGEST_NAME, SERVER, STATUS
from imgbatch.cores import usable_cores
from imgbatch.protocol.fields import SHORT_TEXT


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], {}),
        (["--procs", "auto"], {"procs": usable_cores()}),
        (["--procs", "3", "--prefetch", "2"], {"procs": 3, "prefetch": 2}),
        (["--max-pixels", "50M"], {"max_pixels": 50_000_000}),
        (["--max-bytes", "1GiB"], {"max_bytes": 2**30}),
        (["--image-timeout", "2.5"], {"image_timeout": 2.5}),
        (["--worker-memory", "512MiB"], {"worker_memory": 2**29}),
        (["--metrics-port", "0"], {"metrics_port": 0}),
        (["--name", "Köln 2"], {"name": "Köln 2"}),
        (["--check", "--verbose"], {"check": True, "verbose": True}),
    ],
)  # fmt: skip
def test_options_of_the_server_become_values(arguments: list[str], given: dict[str, Any]) -> None:
    assert parse(SERVER, arguments) == given


@pytest.mark.parametrize(
    "arguments",
    [
        ["--procs", "0"],
        ["--procs", "many"],
        ["--prefetch", "0"],
        ["--prefetch", "101"],
        ["--max-pixels", "0"],
        ["--image-timeout", "0"],
        ["--image-timeout", "inf"],
        ["--metrics-port", "70000"],
        ["--name", ""],
        ["--name", "a\x1b[2Jb"],
        ["--name", "x" * (LONGEST_NAME + 1)],
        ["somewhere"],
    ],
)
def test_what_the_server_does_not_take_is_exit_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(SERVER, arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("imgbatch-server: ")


def test_a_machines_id_fits_into_its_frames() -> None:
    SHORT_TEXT("machine", f"{'x' * LONGEST_NAME}-01234567")


def test_the_environment_sets_what_the_command_line_does_not() -> None:
    environment = {"IMGBATCH_BROKER": "amqp://b/", "IMGBATCH_PROCS": "2", "IMGBATCH_CHECK": "1"}
    assert environment_options(SERVER, environment) == {"broker": "amqp://b/", "procs": 2}


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], {}),
        (["--json", "--watch"], {"json": True, "watch": True}),
        (["--wait", "3", "--broker", "amqp://b/"], {"wait": 3.0, "broker": "amqp://b/"}),
    ],
)
def test_options_of_status_become_values(arguments: list[str], given: dict[str, Any]) -> None:
    assert parse(STATUS, arguments) == given


@pytest.mark.parametrize("program", [SERVER, STATUS], ids=lambda program: program.name)
def test_the_help_shows_every_option_and_fits_a_terminal(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = build_parser(program).format_help()
    assert all(option.name in text for option in program.options)
    assert max(map(len, text.splitlines())) <= 80
