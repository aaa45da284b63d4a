"""The report's page: what it shows of a run's files, and its text.

The files are gathered in the one pass in which JSON and CSV are written (see
`imgbatch.batch.report`), and what is kept of them is bounded however many there are.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph of the gallery: its fields in the report, and its thumbnails in base64."""

    file: Fields
    link: str
    before: str
    after: str
    width: int
    height: int


class PageFiles:
    """What the page shows of a run's files.

    Parameters
    ----------
    report
        Whose page it is.
    thumbnails
        As `imgbatch.batch.journal.Journal.thumbnails` gives them.
    """

    def __init__(self, report: Report, thumbnails: Mapping[bytes, tuple[bytes, bytes]]) -> None:
        self.first: dict[str, list[Fields]] = {status: [] for status in Status}
        self.failed_codes: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.pictures: list[Picture] = []
        machines = sorted(report.totals.machines, key=lambda machine: -machine.images)
        self.throughput = Throughput(
            report.seconds, report.totals.timed, [machine.id for machine in machines]
        )
        self._report = report
        self._thumbnails = thumbnails

    def add(self, name: bytes, file: Fields) -> None:
        """Take note of a file; `name` is its path below the input folder."""
        status = file["status"]
        if status == Status.WRITTEN:
            if file["notes"]:  # few files have any, and to count none takes 1 µs
                self.notes.update(file["notes"])
            if name in self._thumbnails:
                self.pictures.append(self._picture(name, file))
        elif len(self.first[status]) < MOST_LISTED:
            self.first[status].append(file)
        if status == Status.FAILED:
            self.failed_codes[file["error"]["code"]] += 1
        if file["finished_seconds"] is not None and status in (Status.WRITTEN, Status.FAILED):
            self.throughput.add(file["finished_seconds"], file["machine"])

    def _picture(self, name: bytes, file: Fields) -> Picture:
        before, after = self._thumbnails[name]
        width, height = jpeg_size(after) or (0, 0)
        path = self._report.target / self._report.naming.target(os.fsdecode(name))
        return Picture(
            file,
            quote(os.fsencode(os.path.relpath(path, self._report.path.parent))),
            b64encode(before).decode(),
            b64encode(after).decode(),
            width,
            height,
        )


def write_page(report: Report, files: PageFiles) -> Report:
    """Write the page beside the report; return the report with its path, or why there is none."""
    path = report.path.with_suffix(".html")
    try:
        with replacing(path) as page:
            page.write(render(report.summary(), files))
    except OutputError as error:
        return replace(report, page_failure=Failure.of(error))
    return replace(report, page=path)


def render(report: Fields, files: PageFiles) -> str:
    """Return the page of a report.

    Parameters
    ----------
    report
        The fields of imgbatch-report.json but its files.
    files
        What there is to show of these.
    """
    return page_template().render(
        report=report,
        images=report["images"],
        seconds=report["seconds"] or 1,
        failed=files.first[Status.FAILED],
        failed_codes=files.failed_codes.most_common(),
        throughput=files.throughput if files.throughput.images > 1 else None,
        hosts={machine["id"]: machine["host"] for machine in report["machines"]},
        machines=sorted(report["machines"], key=lambda machine: -machine["images"]),
        pictures=files.pictures,
        notes=files.notes.most_common(MOST_LISTED),
        not_done=files.first[Status.NOT_DONE],
        skipped=files.first[Status.SKIPPED],
    )


@cache
def page_template() -> Template:
    """Return the page's template; to import Jinja2 and compile it takes 35 ms, once."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
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
    return environment.from_string(_text("batch/page/report.html"))


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
