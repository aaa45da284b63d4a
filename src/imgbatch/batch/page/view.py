"""The report's page: what it shows of a run's files, and its text.

What there is to show of the files is selected from the journal, and bounded however many there are.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imgbatch.batch import journal_tables as tables
from imgbatch.batch.journal import Journal
from imgbatch.batch.journal_tables import Row
from imgbatch.batch.model import Failure, Status
from imgbatch.batch.page.throughput import SHADES, Throughput
from imgbatch.batch.report import Report, replacing
from imgbatch.batch.thumbnails import jpeg_size
from imgbatch.errors import OutputError
from imgbatch.text import duration, size

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

MOST_LISTED = 200
OPEN_FAILURES = 12
"""Shown at once; the others wait behind a click, so that the rest of the page is not buried."""

_USUAL = (None, False, "keep", "strict", "fast")
"""Values of encoding options that change nothing; the page leaves these out."""

Fields = Mapping[str, Any]
"""Of a report or of one of its files, as docs/report.schema.json describes them."""


def write_page(report: Report, journal: Journal) -> Report:
    """Write the page beside the report; return the report with its path, or why there is none."""
    path = report.path.with_suffix(".html")
    try:
        with replacing(path) as page:
            page.write(render(report, journal))
    except OutputError as error:
        return replace(report, page_failure=Failure.of(error))
    return replace(report, page=path)


def render(report: Report, journal: Journal) -> str:
    """Return the page of a report, whose files are in the journal."""
    fields = report.summary()
    totals = report.totals
    machines = sorted(totals.machines, key=lambda machine: -machine.images)
    throughput = Throughput(
        report.seconds,
        totals.timed,
        [machine.id for machine in machines],
        lambda step: journal.rows(tables.ENDS, step_seconds=step),
    )
    notes: Counter[str] = Counter()
    for words, count in journal.rows(tables.NOTES):
        notes.update(dict.fromkeys(words.split(), count))

    def first(status: Status) -> list[Fields]:
        return list(report.entries(journal.rows(tables.FIRST, status=status, limit=MOST_LISTED)))

    return page_template().render(
        report=fields,
        images=fields["images"],
        seconds=fields["seconds"] or 1,
        failed=first(Status.FAILED),
        failed_codes=[(example.code, totals.by_code[example.code]) for example in totals.examples],
        throughput=throughput if throughput.images > 1 else None,
        hosts={machine.id: machine.host for machine in machines},
        machines=machines,
        pictures=[_picture(report, row) for row in journal.rows(tables.PICTURES)],
        notes=notes.most_common(MOST_LISTED),
        not_done=first(Status.NOT_DONE),
        skipped=first(Status.SKIPPED),
    )


def _picture(report: Report, row: Row) -> Fields:
    """Return the fields of a photograph of the gallery, with its thumbnails in base64."""
    (file,) = report.entries([row])
    target, link = report.target, report.naming.target(os.fsdecode(row["source"]))
    if isinstance(target, Path):  # else it leads on from the page's copy in the store
        link = os.path.relpath(target / link, report.path.parent)
    width, height = jpeg_size(row["after"]) or (0, 0)
    return {
        "file": file,
        "link": quote(os.fsencode(link)),
        "before": b64encode(row["before"]).decode(),
        "after": b64encode(row["after"]).decode(),
        "width": width,
        "height": height,
    }


@cache
def page_template() -> Template:
    """Return the page's template; to import Jinja2 and load it takes 20 ms, to compile it 20 more.

    It is kept compiled beside this module, as Python keeps the module.
    """
    from jinja2 import Environment, FileSystemBytecodeCache, FunctionLoader, StrictUndefined

    kept = Path(__file__).with_name("__pycache__")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_text),
        bytecode_cache=FileSystemBytecodeCache(str(kept)) if os.access(kept, os.W_OK) else None,
    )
    environment.filters.update(
        below=_below,
        duration=duration,
        last=lambda path: Path(path).name or path,
        number="{:,}".format,
        reason=_reason,
        signed=lambda value: f"{value:+d}".replace("-", "−") if value else "0",  # noqa: RUF001
        size=size,
        with_options=_with_options,
        words=lambda code: code.replace("-", " ").replace("_", " "),
    )
    environment.globals.update(
        style=_text("assets/look.css") + _text("batch/page/report.css"),
        script=_text("batch/page/report.js"),
        icon=quote(_text("assets/icon.svg")),
        open_failures=OPEN_FAILURES,
        shades=SHADES,
        usual=_USUAL,
    )
    return environment.get_template("batch/page/report.html")


def _text(name: str) -> str:
    return files("imgbatch").joinpath(name).read_text("utf-8")


def _below(path: str, folder: str) -> str:
    """Return a file's path below the run's folder, or all of it if it lies outside."""
    name = path.removeprefix(folder.rstrip("/") + "/")
    return name if name != folder else Path(path).name


def _reason(file: Fields) -> str:
    """Return why a file was not written, without its name, as the page has it beside."""
    sentence = (file["error"] or {}).get("sentence", "").removeprefix(f"{file['input']}: ")
    return str(sentence[:1].upper() + sentence[1:])


def _with_options(sentence: str) -> Markup:
    """Return HTML for a sentence; the options it names are set as such, and never broken."""
    from markupsafe import Markup, escape

    options = re.compile(r"(?<!\S)--[a-z-]+")
    return Markup(options.sub(r"<code>\g<0></code>", str(escape(sentence))))
