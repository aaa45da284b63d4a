from __future__ import annotations

import os
import subprocess
import sys

import pytest

from imgbatch.cli.terminal import print_err, print_out


def test_results_and_everything_else_go_separate_ways(capsys: pytest.CaptureFixture[str]) -> None:
    print_out("a result")
    print_err("a remark")
    assert capsys.readouterr() == ("a result\n", "a remark\n")


def test_bytes_of_a_name_that_are_no_text_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_out(os.fsdecode(b"caf\xe9 \xc3\xa9"))
    assert capsys.readouterr().out == "caf\\xe9 \xe9\n"


def test_nothing_that_is_said_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_out("holiday\x1b[2J.jpg")
    print_err("holiday\x1b[2J.jpg can't be read")
    assert capsys.readouterr() == ("holiday\\x1b[2J.jpg\n", "holiday\\x1b[2J.jpg can't be read\n")


@pytest.mark.parametrize(("function", "stream"), [("print_out", "stdout"), ("print_err", "stderr")])
def test_that_nobody_reads_is_no_error(function: str, stream: str) -> None:
    code = (
        "import sys\n"
        "from imgbatch.cli import terminal\n"
        "sys.stdin.read()\n"
        f"terminal.{function}('much ' * 100000)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        **{stream: subprocess.PIPE},  # type: ignore[call-overload]
    )
    getattr(process, stream).close()
    process.stdin.close()
    assert process.wait(30) == 0
