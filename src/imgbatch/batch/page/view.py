"""The report's page: what it shows of a run's files, and its text.

The files are gathered in the one pass in which JSON and CSV are written (see
`imgbatch.batch.report`), and what is kept of them is bounded however many there are.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imgbatch.batch.gallery import Pair, Thumbnails, make_thumbnails
from imgbatch.batch.model import Failure, Status
from imgbatch.batch.page.throughput import SHADES, Throughput
from imgbatch.batch.report import Report, replacing
from imgbatch.batch.rows import Totals
from imgbatch.errors import OutputError
from imgbatch.text import duration, size

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

MOST_PICTURES = 48
MOST_LISTED = 200
OPEN_FAILURES = 12
"""Shown at once; the others wait behind a click, so that the rest of the page is not buried."""
GALLERY_SHARE = 0.1
"""Of the run's own time, that its gallery may take; within the bounds below."""
GALLERY_SECONDS = (1.0, 15.0)

_USUAL = (None, False, "keep", "strict", "fast")
"""Values of encoding options that change nothing; the page leaves these out."""

Fields = Mapping[str, Any]
"""Of a report or of one of its files, as docs/report.schema.json describes them."""


@dataclass(slots=True)
class FileList:
    """Files that ended in one way: how many, and the first of them."""

    count: int = 0
    first: list[Fields] = field(default_factory=list)

    def add(self, file: Fields) -> None:
        """Count a file, and keep it if there is room."""
        self.count += 1
        if len(self.first) < MOST_LISTED:
            self.first.append(file)

    @property
    def unlisted(self) -> int:
        """How many were counted only."""
        return self.count - len(self.first)


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph of the gallery: its fields in the report, and its thumbnails."""

    file: Fields
    thumbnails: Thumbnails
    link: str = ""


class PageFiles:
    """What the page shows of a run's files.

    Parameters
    ----------
    seconds
        Duration of the run.
    totals
        Its sums.
    """

    def __init__(self, seconds: float, totals: Totals) -> None:
        self.lists = {status: FileList() for status in Status if status is not Status.WRITTEN}
        self.failed_codes: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.sample: list[Fields] = []
        self._written = 0
        self._written_in_all = max(totals.by_status.get(Status.WRITTEN, 0), 1)
        machines = [machine.id for machine in sorted(totals.machines, key=lambda it: -it.images)]
        self.throughput = Throughput(seconds, totals.timed, machines)

    def add(self, file: Fields) -> None:
        """Take note of a file."""
        status = file["status"]
        if status == Status.WRITTEN:
            self._add_written(file)
        else:
            self.lists[status].add(file)
            if status == Status.FAILED:
                self.failed_codes[file["error"]["code"]] += 1
        if file["finished_seconds"] is not None and status in (Status.WRITTEN, Status.FAILED):
            self.throughput.add(file["finished_seconds"], file["machine"])

    def _add_written(self, file: Fields) -> None:
        self.notes.update(file["notes"])
        self._written += 1
        # As many as there is room for, spread evenly over all.
        if self._written * MOST_PICTURES // self._written_in_all > len(self.sample):
            self.sample.append(file)


def write_page(report: Report, files: PageFiles) -> Report:
    """Write the page beside the report; return the report with where it lies, or why it does not.

    Photographs that can't be decoded are left out of its gallery.
    """
    path = report.path.with_suffix(".html")
    try:
        with replacing(path) as page:
            page.write(render(report.summary(), files, _pictures(report, files.sample)))
    except OutputError as error:
        return replace(report, page_failure=Failure.of(error))
    return replace(report, page=path)


def _pictures(report: Report, sample: Sequence[Fields]) -> list[Picture]:
    pairs = [Pair(Path(file["input"]), Path(file["output"])) for file in sample]
    least, most = GALLERY_SECONDS
    made = make_thumbnails(pairs, min(max(GALLERY_SHARE * report.seconds, least), most))
    folder = report.path.parent
    return [
        Picture(sample[number], thumbnails, link_to(pairs[number].after, folder))
        for number, thumbnails in made.items()
    ]


def render(report: Fields, files: PageFiles, pictures: Sequence[Picture] = ()) -> str:
    """Return the page of a report.

    Parameters
    ----------
    report
        The fields of imgbatch-report.json but its files.
    files
        What there is to show of these.
    pictures
        The photographs of the gallery.
    """
    return _template().render(
        report=report,
        images=report["images"],
        seconds=report["seconds"] or 1,
        failed=files.lists[Status.FAILED],
        failed_codes=files.failed_codes.most_common(),
        throughput=files.throughput if files.throughput.images > 1 else None,
        hosts={machine["id"]: machine["host"] for machine in report["machines"]},
        machines=sorted(report["machines"], key=lambda machine: -machine["images"]),
        pictures=pictures,
        notes=files.notes.most_common(),
        not_done=files.lists[Status.NOT_DONE],
        skipped=files.lists[Status.SKIPPED],
    )


def link_to(path: Path, folder: Path) -> str:
    """Return the address of a file relative to the page."""
    return quote(os.fsencode(os.path.relpath(path, folder)))


@cache
def _template() -> Template:
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
