"""The reference and the manual pages: current, complete, and roff without mistakes."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape

import pytest
from docs.make_reference import DOCS, MANUAL, PAGES, files, plain, table

from imgbatch.cli.option_types import Program, forms_of
from imgbatch.cli.options import PROGRAMS
from imgbatch.errors import Code
from imgbatch.images.notes import Note


def test_the_committed_pages_are_what_the_data_make() -> None:
    committed = {path: path.read_text(encoding="utf-8") for path in files()}
    assert committed == files(), "run: python -m docs.make_reference"


def test_every_option_is_on_its_command_s_page() -> None:
    for program in PROGRAMS:
        page = unescape((PAGES / f"{program.name}.md").read_text(encoding="utf-8"))
        page = page.replace("<code>", "`").replace("</code>", "`")
        for option in program.options:
            assert all(f"`{form}`" in page for form in forms_of(option))


def test_every_code_is_explained_once_in_the_order_of_the_tree() -> None:
    assert first_cells("errors.md", "code") == list(Code)


def test_every_note_is_explained() -> None:
    assert first_cells("report.md", "note") == list(Note)


def first_cells(page: str, head: str) -> list[str]:
    """Return what the tables of a page with this head explain."""
    text = (PAGES / page).read_text(encoding="utf-8")
    tables = re.findall(rf"^\| {head} \|.*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return re.findall(r"^\| `([^`]+)` \|", "".join(tables), re.MULTILINE)


def test_every_field_of_the_report_is_on_its_page() -> None:
    schema = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
    page = (PAGES / "report.md").read_text(encoding="utf-8")
    for definition in (schema, *schema["$defs"].values()):
        assert all(f"| `{name}` |" in page for name in definition["properties"])


def test_a_cell_may_hold_what_separates_cells() -> None:
    assert table(("a",), [("`x|y`",)]) == "| a |\n| --- |\n| <code>x&#124;y</code> |"


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
        assert all(form in done.stdout for form in forms_of(option))


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
