"""Make docs/reference and man/ from the data that the program itself uses.

::

    python -m docs.make_reference

Options, presets and the report's schema are described once, in the code. The pages of
the commands and their manual pages are made as a whole; in the other pages, what stands between
``<!-- table of X -->`` and ``<!-- end -->`` is. A test holds the committed files to the data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from html import escape
from pathlib import Path
from typing import Any

from imgbatch.cli.config import settable
from imgbatch.cli.option_types import Program
from imgbatch.cli.options import PROGRAMS
from imgbatch.cli.presets import PRESETS
from imgbatch.version import __version__

DOCS = Path(__file__).parent
PAGES = DOCS / "reference"
MANUAL = DOCS.parent / "man"
_BLOCK = re.compile(r"(<!-- table of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def files() -> dict[Path, str]:
    """Return the text that each file should have."""
    made = {}
    for program in PROGRAMS:
        made[PAGES / f"{program.name}.md"] = "\n\n".join(command_page(program)) + "\n"
        made[MANUAL / f"{program.name}.1"] = "\n".join(manual_page(program)) + "\n"
    for name in ("settings", "presets", "report"):
        page = PAGES / f"{name}.md"
        made[page] = _BLOCK.sub(_filled, page.read_text(encoding="utf-8"))
    return made


def _filled(block: re.Match[str]) -> str:
    return f"{block[1]}\n{TABLES[block[2]]()}\n\n{block[3]}"


def command_page(program: Program) -> Iterator[str]:
    """Yield the parts of a command's page in Markdown."""
    yield "<!-- made by docs/make_reference.py from the program's own data; edit that -->"
    yield f"# {program.name}"
    yield program.prose["summary"]
    yield f"```\n{program.name} {program.usage}\n```"
    for title, rows in program.sections():
        yield f"## {title.capitalize()}"
        if title == "examples":
            yield "```sh\n" + "\n".join(f"# {what}\n{command}" for command, what in rows) + "\n```"
        elif not rows[0][0]:
            yield _prose(rows[0][1])
        else:
            head = ("status", "meaning") if title == "exit status" else ("option", "what it does")
            forms = ("`" + term.replace(", ", "`, `") + "`" for term, _ in rows)
            yield table(head, zip(forms, (_prose(what) for _, what in rows), strict=True))


def manual_page(program: Program) -> Iterator[str]:
    """Yield the lines of a command's manual page, in the macros that groff and mandoc share."""
    yield r".\" Made by docs/make_reference.py from the program's own data; edit that."
    yield f'.TH {str(program.name).upper()} 1 "" "imgbatch {__version__}" "imgbatch"'
    yield ".SH NAME"
    first_words = re.split(r"[,.:]", program.prose["summary"], maxsplit=1)[0]
    yield rf"{plain(str(program.name))} \- {plain(first_words[0].lower() + first_words[1:])}"
    yield ".SH SYNOPSIS"
    yield rf"\fB{plain(str(program.name))}\fR \fI{plain(program.usage)}\fR"
    yield ".SH DESCRIPTION"
    yield plain(program.prose["summary"])
    yield ".SH OPTIONS"
    for number, (title, rows) in enumerate(program.sections()):
        is_group = number < len(program.groups)
        yield f".SS {title.capitalize()}" if is_group else f".SH {title.upper()}"
        for term, meaning in rows:
            if term:
                yield ".TP"
                yield ", ".join(map(_term, term.split(", "))) if is_group else plain(term)
            yield plain(meaning)
    yield ".SH SEE ALSO"
    others = sorted(str(other.name) for other in PROGRAMS if other is not program)
    yield ",\n".join(rf".BR {plain(other)} (1)" for other in others)


def _term(form: str) -> str:
    """Return ``--name VALUE`` with its name bold and its value in italics."""
    name, _, value = form.partition(" ")
    if not name.startswith("-"):
        return rf"\fI{plain(name)}\fR"
    return rf"\fB{plain(name)}\fR" + (rf" \fI{plain(value)}\fR" if value else "")


def plain(text: str) -> str:
    """Return a text that roff takes as it is: no escapes, no requests, hyphens to copy."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    escaped = escaped.replace("~", r"\(ti").replace("^", r"\(ha").replace("`", r"\(ga")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def settings_table() -> str:
    """Return which programs read which setting."""
    readers: dict[tuple[str, str], list[str]] = {}
    for program in PROGRAMS:
        for key, option in settable(program).items():
            name = str(program.name).removeprefix("imgbatch-")
            readers.setdefault((key, str(option.envvar)), []).append(name)
    rows = ((f"`{key}`", f"`{variable}`", ", ".join(it)) for (key, variable), it in readers.items())
    return table(("in the file", "variable", "read by"), rows)


def presets_table() -> str:
    """Return the built-in adjustments."""
    rows = ((f"`{name}`", *map(str, astuple(preset))) for name, preset in PRESETS.items())
    return table(("`--preset`", "brightness", "contrast", "sharpness"), rows)


def report_tables() -> str:
    """Return the report's fields, from their JSON Schema."""
    schema = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
    parts = [_fields_table(schema, schema["$defs"])]
    for name, definition in schema["$defs"].items():
        parts += [f"## {name}", definition.get("description", "")]
        parts.append(_fields_table(definition, schema["$defs"]))
    return "\n\n".join(filter(None, parts))


def _fields_table(definition: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    rows = (
        (f"`{name}`", _type(field), _meaning(field, others).removesuffix("."))
        for name, field in definition["properties"].items()
    )
    return table(("field", "type", "meaning"), rows)


def _meaning(field: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Return a field's description, or that of what it refers to."""
    name = field.get("$ref", field.get("items", {}).get("$ref", "")).rpartition("/")[2]
    text: str = field.get("description", others.get(name, {}).get("description", ""))
    return text


def _type(field: Mapping[str, Any]) -> str:
    """Return what kind of value a field has, in a few words."""
    match field:
        case {"const": value}:
            return f"`{json.dumps(value)}`"
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"oneOf": kinds}:
            return " or ".join(map(_type, kinds))
        case {"$ref": address}:
            name = address.rpartition("/")[2]
            return f"[{name}](#{name})"
        case {"type": "array"}:
            return f"list of {_type(field['items'])}"
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    both = "minimum" in field and "maximum" in field
    return " or ".join(kinds) + (f", {field['minimum']}..{field['maximum']}" if both else "")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Return a text as a cell, which a bar would end; a backslash before one would be shown."""
    marked = re.sub(r"`([^`]*\|[^`]*)`", lambda code: f"<code>{escape(code[1])}</code>", text)
    return marked.replace("|", "&#124;")


def _prose(text: str) -> str:
    """Return a help text with its options, patterns and names of files as code."""
    text = re.sub(r"(?<![\w`-])(--[a-z][a-z-]+|IMGBATCH_<?[A-Z_]+>?|~/\S+\.toml)", r"`\1`", text)
    text = re.sub(r"'(\*[^']+)'", r"`\1`", text)
    return text.replace(" ** ", " `**` ")


TABLES = {
    "settings": settings_table,
    "presets": presets_table,
    "fields": report_tables,
}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
