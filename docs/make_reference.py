"""Make docs/reference from the data that the program itself uses.

::

    python -m docs.make_reference

Options, codes, notes, presets and the report's schema are described once, in the code; a test
holds the committed pages to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from docs.words import CODES, NOTES

from imgbatch.cli.client_options import CLIENT
from imgbatch.cli.config import PREFIX
from imgbatch.cli.options import COMMON, Kind, Option, Program
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.preview_options import PREVIEW
from imgbatch.cli.server_options import SERVER, STATUS

DOCS = Path(__file__).parent
PROGRAMS = (CLIENT, SERVER, STATUS, PREVIEW)


def pages() -> dict[str, str]:
    """Return the text of each page, by its name in docs/reference."""
    commands = {f"{program.name}.md": command_page(program) for program in PROGRAMS}
    schema = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
    return commands | {
        "settings.md": settings_page(),
        "presets.md": presets_page(),
        "report.md": report_page(schema),
        "errors.md": errors_page(),
    }


def command_page(program: Program) -> str:
    """Return the page of a command: its options group by group, and its examples."""
    parts = [f"# {program.name}", program.summary]
    parts.append(f"```\n{program.synopsis}\n```")
    for group in (*program.groups, COMMON):
        parts.append(f"## {group.title.capitalize()}")
        rows = ((_forms(option), _prose(option.help)) for option in group.options)
        parts.append(table(("option", "what it does"), rows))
    parts += ["## Examples", f"```sh\n{_examples(program)}\n```"]
    for remark in program.remarks:
        parts += [f"## {remark.title.capitalize()}", _prose(remark.text)]
    statuses = ((str(status), meaning) for status, meaning in program.exit_statuses)
    parts += ["## Exit status", table(("status", "meaning"), statuses)]
    return _page(parts)


def _examples(program: Program) -> str:
    return "\n".join(f"# {example.meaning}\n{example.command}" for example in program.examples)


def settings_page() -> str:
    """Return the page of the environment and the settings file."""
    parts = [
        "# Settings file and environment",
        "What you want at each run can stand in `~/.config/imgbatch.toml` (or "
        "`$XDG_CONFIG_HOME/imgbatch.toml`, or the file that `--config` names):",
        '```toml\n[imgbatch]\nbroker = "amqp://imgbatch:secret@broker.example/"\ncontrast = 10\n'
        'exclude = ["*.tmp", "thumbnails"]\nhtml = false\n```',
        "or in the environment, which `imgbatch-server` and `imgbatch-status` read too:",
        "```sh\nexport IMGBATCH_BROKER=amqp://imgbatch:secret@broker.example/\n```",
        "The command line counts most, then `--preset`, the environment, the settings file. In "
        "variables, a yes or no is written `yes` or `no`, and several values are separated by "
        "colons. A password is safer in a file that only you can read, or in the environment, "
        "than on the command line, which everyone on the machine can see.",
    ]
    for program in (CLIENT, SERVER, STATUS):
        options = [option for option in program.options if option.everywhere]
        parts.append(f"## {program.name}")
        head = (
            ("option", "variable", "in the file") if program is CLIENT else ("option", "variable")
        )
        parts.append(table(head, (_setting(option)[: len(head)] for option in options)))
    return _page(parts)


def _setting(option: Option) -> tuple[str, str, str]:
    name = option.name.removeprefix("--")
    written = {
        Kind.VALUE: '"…"' if not _is_number(option) else option.metavar,
        Kind.VALUES: '["…", "…"]',
    }.get(option.kind, "true")
    return f"`{option.name}`", f"`{PREFIX}{option.key.upper()}`", f"`{name} = {written}`"


def _is_number(option: Option) -> bool:
    return option.metavar in {"N", "S", "SECONDS", "PORT"}


def presets_page() -> str:
    """Return the page of the built-in adjustments."""
    rows = (
        (f"`{name}`", str(preset.brightness), str(preset.contrast), str(preset.sharpness))
        for name, preset in PRESETS.items()
    )
    return _page(
        [
            "# Presets",
            "Adjustments with a name, mild on purpose: what helps most photographs of a folder "
            "and hurts none of the others.",
            table(("`--preset`", "brightness", "contrast", "sharpness"), rows),
            "Single options given beside a preset win: `--preset punchy --sharpness 50`. Your own "
            "is a TOML file, which may hold any option of the "
            "[settings file](settings.md):",
            '```toml title="mine.toml"\n[imgbatch]\nbrightness = 4\ncontrast = 18\nquality = 92\n'
            "```",
            "```sh\nimgbatch-client photos/ out/ --preset mine.toml\n```",
            "`imgbatch-preview photos/` shows them on your own photographs.",
        ]
    )


def errors_page() -> str:
    """Return the page of the stable words for failures."""
    parts = [
        "# Error codes",
        "Each file that was not written has a code and a sentence in the report, and so has a "
        "run that could not go on. The code is for programs and stays as it is; the sentence "
        "names the file or the option.",
    ]
    for title, codes in CODES.items():
        parts.append(f"## {title}")
        rows = ((f"`{code}`", *texts) for code, texts in codes.items())
        parts.append(table(("code", "what happened", "what to do"), rows))
    return _page(parts)


def report_page(schema: Mapping[str, Any]) -> str:
    """Return the page of the report's fields, from their JSON Schema."""
    parts = [
        "# Report",
        "A run leaves `imgbatch-report.json` in OUTPUT, and beside it the same as a page "
        "(`.html`), its files as a table (`.csv`), and the journal that `--resume` reads. "
        "Programs should ignore fields that they do not know: fields are added, never changed, "
        "as long as `schema` stays the same. The "
        "[JSON Schema](../report.schema.json) says the same to programs.",
        fields_table(schema, schema["$defs"]),
    ]
    for name, definition in schema["$defs"].items():
        parts.append(f"## {name}")
        if "description" in definition:
            parts.append(definition["description"])
        parts.append(fields_table(definition, schema["$defs"]))
    parts.append("## notes")
    parts.append(
        "What a result could not keep, or is worth knowing; `notes` of a file holds these."
    )
    parts.append(table(("note", "meaning"), ((f"`{note}`", text) for note, text in NOTES.items())))
    return _page(parts)


def fields_table(definition: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Return the properties of one object of the schema as a table."""
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
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "oneOf" in field:
        return " or ".join(_type(kind) for kind in field["oneOf"])
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    return " or ".join(kinds) + _range(field)


def _range(field: Mapping[str, Any]) -> str:
    if "minimum" in field and "maximum" in field:
        return f", {field['minimum']}..{field['maximum']}"
    return ""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Return a text as a cell, which a bar would end; a backslash before one would be shown."""
    marked = re.sub(r"`([^`]*\|[^`]*)`", lambda code: f"<code>{escape(code[1])}</code>", text)
    return marked.replace("|", "&#124;")


def _forms(option: Option) -> str:
    return ", ".join(f"`{form}`" for form in option.forms)


def _prose(text: str) -> str:
    """Return a help text with its options, patterns and names of files as code."""
    text = re.sub(r"(?<![\w`-])(--[a-z][a-z-]+|IMGBATCH_<?[A-Z_]+>?|~/\S+\.toml)", r"`\1`", text)
    text = re.sub(r"'(\*[^']+)'", r"`\1`", text)
    return text.replace(" ** ", " `**` ")


def _page(parts: Iterable[str]) -> str:
    note = "<!-- made by docs/make_reference.py from the program's own data; edit that -->"
    return "\n\n".join((note, *parts)) + "\n"


def main() -> None:
    """Write the pages."""
    folder = DOCS / "reference"
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
