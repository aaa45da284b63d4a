"""The reference: current, and complete."""

from __future__ import annotations

import json
from html import unescape

from docs.make_reference import DOCS, PROGRAMS, pages, table
from docs.words import CODES, NOTES

from imgbatch.errors import Code
from imgbatch.images.notes import Note


def test_the_committed_pages_are_what_the_data_make() -> None:
    committed = {
        path.name: path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")
    }
    assert committed == pages(), "run: python -m docs.make_reference"


def test_every_option_is_on_its_command_s_page() -> None:
    texts = pages()
    for program in PROGRAMS:
        page = unescape(texts[f"{program.name}.md"]).replace("<code>", "`").replace("</code>", "`")
        for option in program.options:
            assert all(f"`{form}`" in page for form in option.forms)


def test_every_code_is_explained_once_in_the_order_of_the_tree() -> None:
    explained = [code for codes in CODES.values() for code in codes]
    assert explained == list(Code)


def test_every_note_is_explained() -> None:
    assert list(NOTES) == list(Note)


def test_every_field_of_the_report_is_on_its_page() -> None:
    schema = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
    page = pages()["report.md"]
    for definition in (schema, *schema["$defs"].values()):
        assert all(f"| `{name}` |" in page for name in definition["properties"])


def test_a_cell_may_hold_what_separates_cells() -> None:
    assert table(("a",), [("`x|y`",)]) == "| a |\n| --- |\n| <code>x&#124;y</code> |"
