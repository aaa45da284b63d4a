"""What a run did, made from its journal, as JSON and as CSV.

``docs/report.schema.json`` describes the JSON. Both are written in one pass over the journal, so
a report of 100,000 files takes no more memory than one of a hundred, and appear complete.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, TextIO

from imgbatch.batch.journal_tables import Row, Totals
from imgbatch.batch.model import Failure, Status
from imgbatch.batch.names import Naming
from imgbatch.batch.write import create_new
from imgbatch.errors import Code, OutputError
from imgbatch.recipe import Recipe
from imgbatch.storage.places import Location
from imgbatch.text import os_reason, printable

SCHEMA = 1
_FACTORS = ("brightness", "contrast", "sharpness")
_COLUMNS = (
    "input", "output", "status", "code", "sentence", "seconds", "finished_seconds", "machine",
    "width", "height", "bytes_in", "bytes_out", "notes", "attempts",
)  # fmt: skip
_cells_of = itemgetter(*_COLUMNS)
_NO_ERROR = {"code": "", "sentence": ""}


@dataclass(frozen=True, slots=True)
class Report:
    """A run's figures; its files are in the journal and in the report on the disk.

    Parameters
    ----------
    path
        The JSON file; ``.csv``, ``.html`` and ``.journal`` lie beside it.
    source, target
        The input and the output, absolute.
    recipe
        What was done to each image.
    engine
        ``local`` or ``rabbitmq``.
    version
        Of imgbatch.
    started
        Date and time, ISO 8601 with the offset from UTC.
    seconds
        Duration of the run.
    interrupted
        Whether it ended before all files had been tried.
    failure
        Why it could not go on, if it could not.
    totals
        Files by status and by code, bytes, and who took part.
    saved
        Whether it could be written to the disk.
    page, page_failure
        Where it lies as a page, or why not.
    """

    path: Path
    source: Location
    target: Location
    recipe: Recipe
    engine: str
    version: str
    started: str
    seconds: float
    interrupted: bool
    failure: Failure | None
    totals: Totals
    saved: bool = True
    page: Path | None = None
    page_failure: Failure | None = None

    @property
    def files_beside(self) -> list[Path]:
        """The files that it is written as."""
        page = [] if self.page is None else [self.page]
        return [self.path, self.path.with_suffix(".csv"), *page]

    @property
    def naming(self) -> Naming:
        """How output names were made."""
        return Naming(self.recipe.encoding.output_format)

    @property
    def exit_status(self) -> int:
        """0 all written or skipped, 1 some failed, 3 the run could not go on, 130 interrupted."""
        if self.failure is not None:
            return 3
        if self.interrupted:
            return 130
        return 1 if self.count(Status.FAILED) or self.count(Status.NOT_DONE) else 0

    def count(self, status: Status) -> int:
        """Return the number of files that ended so."""
        return self.totals.by_status.get(status, 0)

    def summary(self) -> dict[str, object]:
        """Return the report's fields but the files: plain values, ready for JSON."""
        fields = self.recipe.to_fields()
        return {
            "schema": SCHEMA,
            "imgbatch": self.version,
            "started": self.started,
            "input": printable(str(self.source)),
            "output": printable(str(self.target)),
            "adjustment": {name: fields[name] for name in _FACTORS},
            "encoding": {name: fields[name] for name in fields if name not in _FACTORS},
            "engine": self.engine,
            "interrupted": self.interrupted,
            "failure": _failure_fields(self.failure),
            "images": {
                "total": self.totals.files,
                "written": self.count(Status.WRITTEN),
                "failed": self.count(Status.FAILED),
                "skipped": self.count(Status.SKIPPED),
                "not_done": self.count(Status.NOT_DONE),
            },
            "failures_by_code": {str(code): n for code, n in self.totals.by_code.items()},
            "machines": [
                {**asdict(machine), "busy_seconds": round(machine.busy_seconds, 3)}
                for machine in self.totals.machines
            ],
            "machines_used": sum(machine.images > 0 for machine in self.totals.machines),
            "seconds": round(self.seconds, 3),
            "bytes_in": self.totals.bytes_in,
            "bytes_out": self.totals.bytes_out,
        }

    def write(self, files: Iterable[Row]) -> None:
        """Write the JSON and the CSV file, each at once complete, in one pass over the files.

        Parameters
        ----------
        files
            As `imgbatch.batch.journal.Journal.files` gives them.

        Raises
        ------
        OutputError
            If there is no room for them, or their folder is gone.
        """
        import msgspec  # five times as fast as json

        with replacing(self.path) as as_json, replacing(self.path.with_suffix(".csv")) as as_csv:
            summary = json.dumps(self.summary(), indent=2, ensure_ascii=False)
            as_json.write(summary.removesuffix("\n}") + ',\n  "files": [')
            encode = msgspec.json.Encoder().encode
            table = csv.writer(as_csv)
            table.writerow(_COLUMNS)
            separator = "\n    "
            for fields in self.entries(files):
                as_json.write(separator + encode(fields).decode())  # each on a line of its own
                separator = ",\n    "
                table.writerow(_cells(fields))
            as_json.write("\n  ]\n}\n")

    def entries(self, files: Iterable[Row]) -> Iterator[dict[str, Any]]:
        """Yield the fields of each file: its paths absolute, its numbers without noise."""
        source = printable(str(self.source if self.source.is_dir() else self.source.parent))
        target = printable(str(self.target))
        naming = self.naming
        for row in files:
            name = row["source"].decode("utf-8", "backslashreplace")
            code, finished = row["code"], row["finished_seconds"]
            yield {
                "input": f"{source}/{name}",
                "output": f"{target}/{naming.target(name)}",
                "status": row["status"] or "not-done",
                "error": {"code": code, "sentence": row["sentence"]} if code else None,
                "seconds": round(row["seconds"], 4),
                "finished_seconds": None if finished is None else round(finished, 3),
                "machine": row["machine"],
                "width": row["width_pixels"],
                "height": row["height_pixels"],
                "bytes_in": row["size_bytes"],
                "bytes_out": row["bytes_out"],
                "notes": row["notes"].split(),
                "attempts": row["attempts"],
            }


def _cells(fields: Mapping[str, Any]) -> tuple[object, ...]:
    """Return a file's line in the CSV; machines choose what stands in some of its cells."""
    line = {**fields, **(fields["error"] or _NO_ERROR), "notes": " ".join(fields["notes"])}
    for name in ("sentence", "machine", "notes"):
        if line[name].startswith(("=", "+", "-", "@", "\t", "\r")):
            line[name] = f"'{line[name]}"  # or a spreadsheet would compute it
    cells: tuple[object, ...] = _cells_of(line)
    return cells


@contextmanager
def replacing(path: Path, what: str = "report") -> Iterator[TextIO]:
    """Write a text file so that its name never shows half of it: it is given at the end.

    Parameters
    ----------
    what
        What an error calls it.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(create_new(temporary), "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
            yield file
        temporary.replace(path)
    except OSError as error:
        reason = os_reason(error)
        raise OutputError(
            Code.OUTPUT_FOLDER_UNWRITABLE, f"the {what} {path} can't be written: {reason}"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _failure_fields(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"code": str(failure.code), "sentence": printable(failure.sentence)}
