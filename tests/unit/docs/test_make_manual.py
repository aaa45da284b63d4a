"""The manual pages: current, complete, and roff without mistakes."""

from __future__ import annotations

import subprocess

import pytest
from docs.make_manual import MANUAL, PROGRAMS, pages, plain

from imgbatch.cli.options import Program


def test_the_committed_pages_are_what_the_options_make() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in MANUAL.glob("*.1")}
    assert committed == pages(), "run: python -m docs.make_manual"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_groff_formats_each_page_without_a_warning_and_shows_every_option(program: Program) -> None:
    page = MANUAL / f"{program.name}.1"
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-cbou", "-ww", "-rLL=200n", page],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    for option in program.options:
        assert all(form in done.stdout for form in option.forms)


def test_text_that_roff_would_take_for_a_request_is_shown_as_it_is() -> None:
    text = r".hidden 'quoted' C:\name ~/x `code` a-b ^"
    shown = subprocess.run(
        ["groff", "-man", "-Tascii"],
        input=f'.TH X 1 "" "" ""\n{plain(text)}\n',
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert text in shown
