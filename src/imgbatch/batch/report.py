"""What a run did, made from its journal, as JSON and as CSV.

``docs/report.schema.json`` describes the JSON. Both are written in one pass over the journal, so
a report of 100,000 files takes no more memory than one of a hundred, and appear complete.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgbatch.batch.journal import Journal, Totals
from imgbatch.batch.model import Failure, MachineUse, Status
from imgbatch.batch.rows import Entry
from imgbatch.batch.write import create_new
from imgbatch.errors import Code, OutputError
from imgbatch.recipe import Recipe
from imgbatch.text import printable

SCHEMA = 1
_FACTORS = ("brightness", "contrast", "sharpness")
_COLUMNS = (
    "input", "output", "status", "code", "sentence", "seconds", "finished_seconds", "machine",
    "width", "height", "bytes_in", "bytes_out", "notes", "attempts",
)  # fmt: skip


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
        Files by status and by code, bytes.
    machines
        Who took part, and what each did.
    examples
        For each code of files that failed, the sentence of one.
    saved
        Whether it could be written to the disk.
    page, page_failure
        Where it lies as a page, or why not.
    """

    path: Path
    source: Path
    target: Path
    recipe: Recipe
    engine: str
    version: str
    started: str
    seconds: float
    interrupted: bool
    failure: Failure | None
    totals: Totals
    machines: tuple[MachineUse, ...] = ()
    examples: tuple[Failure, ...] = ()
    saved: bool = True
    page: Path | None = None
    page_failure: Failure | None = None

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
            "machines": [_machine_fields(machine) for machine in self.machines],
            "machines_used": sum(machine.images > 0 for machine in self.machines),
            "seconds": round(self.seconds, 3),
            "bytes_in": self.totals.bytes_in,
            "bytes_out": self.totals.bytes_out,
        }

    def to_json(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Yield the report as JSON, piece by piece; each file stands on a line of its own."""
        summary = json.dumps(self.summary(), indent=2, ensure_ascii=False)
        yield summary.removesuffix("\n}") + ',\n  "files": ['
        separator = "\n"
        encode = json.JSONEncoder(ensure_ascii=False).encode
        for fields in self._files(entries):
            yield f"{separator}    {encode(fields)}"
            separator = ",\n"
        yield "\n  ]\n}\n"

    def to_csv(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Yield the files as CSV, a line each, under a line of the columns' names."""
        line = io.StringIO()
        writer = csv.DictWriter(line, _COLUMNS)
        writer.writeheader()
        yield line.getvalue()
        for fields in self._files(entries):
            error = fields.pop("error") or {}
            line.seek(0)
            line.truncate()
            cells = {**fields, **error, "notes": " ".join(fields["notes"])}
            writer.writerow({name: _no_formula(cell) for name, cell in cells.items()})
            yield line.getvalue()

    def write(self, journal: Journal) -> None:
        """Write the JSON and the CSV file, each at once complete.

        Raises
        ------
        OutputError
            If there is no room for them, or their folder is gone.
        """
        write_text(self.path, self.to_json(journal.entries()))
        write_text(self.path.with_suffix(".csv"), self.to_csv(journal.entries()))

    def _files(self, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
        """Yield the fields of each file: its paths absolute, its numbers without noise."""
        source, target = str(self.source_folder), str(self.target)
        for entry in entries:
            paths = f"{source}/{entry.source}", f"{target}/{entry.target}"
            yield _file_fields(entry, *map(printable, paths))

    @property
    def source_folder(self) -> Path:
        """The folder to which the files' names are relative."""
        return self.source if self.source.is_dir() else self.source.parent


def _file_fields(entry: Entry, source: str, target: str) -> dict[str, Any]:
    outcome = entry.outcome
    finished = entry.finished_seconds
    return {
        "input": source,
        "output": target,
        "status": outcome.status.value,
        "error": _failure_fields(outcome.failure),
        "seconds": round(outcome.seconds, 4),
        "finished_seconds": None if finished is None else round(finished, 3),
        "machine": outcome.machine,
        "width": outcome.width_pixels,
        "height": outcome.height_pixels,
        "bytes_in": entry.size_bytes,
        "bytes_out": outcome.bytes_out,
        "notes": outcome.notes,
        "attempts": outcome.attempts,
    }


def _no_formula(cell: object) -> object:
    """Return a cell that no spreadsheet computes; machines choose names, and servers notes."""
    is_formula = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if is_formula else cell


def write_text(path: Path, pieces: Iterable[str]) -> None:
    """Write a text file piece by piece, so that its name never shows half of it.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(create_new(temporary), "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
            file.writelines(pieces)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            Code.OUTPUT_FOLDER_UNWRITABLE, f"the report {path} can't be written: {reason}"
        ) from error


def _machine_fields(machine: MachineUse) -> dict[str, object]:
    return {
        "id": machine.id,
        "host": machine.host,
        "procs": machine.procs,
        "images": machine.images,
        "busy_seconds": round(machine.busy_seconds, 3),
        "digest": machine.digest,
    }


def _failure_fields(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"code": str(failure.code), "sentence": printable(failure.sentence)}
