"""Make the manual pages in man/ from the data that the commands' parsers are made from.

::

    python -m docs.make_manual

They are installed under share/man/man1; a test holds the committed pages to the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from imgbatch.cli.client_options import CLIENT
from imgbatch.cli.options import COMMON, Option, Program
from imgbatch.cli.preview_options import PREVIEW
from imgbatch.cli.server_options import SERVER, STATUS
from imgbatch.version import __version__

MANUAL = Path(__file__).parent.parent / "man"
PROGRAMS = (CLIENT, PREVIEW, SERVER, STATUS)


def pages() -> dict[str, str]:
    """Return the text of each page, by its name in man/."""
    return {f"{program.name}.1": "\n".join(page(program)) + "\n" for program in PROGRAMS}


def page(program: Program) -> Iterator[str]:
    """Yield the lines of a command's page, in the man macros that groff and mandoc share."""
    yield r".\" Made by docs/make_manual.py from the options' own data; edit that."
    yield f'.TH {program.name.upper()} 1 "" "imgbatch {__version__}" "imgbatch"'
    yield ".SH NAME"
    yield rf"{plain(program.name)} \- {plain(_first_words(program.summary))}"
    yield ".SH SYNOPSIS"
    yield _synopsis(program)
    yield ".SH DESCRIPTION"
    yield plain(program.summary)
    yield ".SH OPTIONS"
    for group in (*program.groups, COMMON):
        yield f".SS {plain(group.title.capitalize())}"
        for option in group.options:
            yield from _tagged(", ".join(map(_form, _forms(option))), option.help)
    for remark in program.remarks:
        yield f".SH {plain(remark.title.upper())}"
        yield plain(remark.text)
    yield ".SH EXAMPLES"
    for example in program.examples:
        yield from _tagged(plain(example.command), example.meaning)
    yield ".SH EXIT STATUS"
    for status, meaning in program.exit_statuses:
        yield from _tagged(str(status), meaning)
    yield ".SH SEE ALSO"
    others = sorted(other.name for other in PROGRAMS if other is not program)
    yield ",\n".join(rf".BR {plain(other)} (1)" for other in others)


def _first_words(summary: str) -> str:
    """Return what a list of manual pages shows: the first part of the summary, in small letters."""
    words = re.split(r"[,.:]", summary, maxsplit=1)[0]
    return words[0].lower() + words[1:]


def _synopsis(program: Program) -> str:
    name, *rest = program.synopsis.split()
    shown = (r"[\fIoptions\fR]" if word == "[options]" else rf"\fI{word}\fR" for word in rest)
    return " ".join((rf"\fB{plain(name)}\fR", *shown))


def _forms(option: Option) -> tuple[str, ...]:
    return ("-h", "--help") if option.name == "--help" else option.forms


def _form(form: str) -> str:
    """Return ``--name VALUE`` with its name bold and its value in italics."""
    name, _, value = form.partition(" ")
    if not name.startswith("-"):
        return rf"\fI{plain(name)}\fR"
    return rf"\fB{plain(name)}\fR" + (rf" \fI{plain(value)}\fR" if value else "")


def _tagged(tag: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield tag
    yield plain(text)


def plain(text: str) -> str:
    """Return a text that roff takes as it is: no escapes, no requests, hyphens to copy."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    escaped = escaped.replace("~", r"\(ti").replace("^", r"\(ha").replace("`", r"\(ga")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def main() -> None:
    """Write the pages."""
    MANUAL.mkdir(exist_ok=True)
    for name, text in pages().items():
        (MANUAL / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
