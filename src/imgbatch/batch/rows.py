"""Between the rows of the journal's tables and the values of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from imgbatch.batch.model import Failure, Outcome, Status
from imgbatch.batch.scan import Found
from imgbatch.errors import Code
from imgbatch.text import printable

OUTCOME = (
    "status, code, sentence, seconds, machine, width_pixels, height_pixels, bytes_out, notes, "
    "attempts, finished_seconds"
)
PLANNED = "source, target, size_bytes, modified_ns, mode, checksum"
Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A file of the plan: what was found, where its result goes, and its content's checksum."""

    found: Found
    target: str
    checksum: bytes | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the plan with what became of it, as the report shows it."""

    source: str
    target: str
    size_bytes: int
    outcome: Outcome
    finished_seconds: float | None


def planned_row(item: Planned) -> Row:
    """Return a planned file as the columns of `PLANNED`."""
    found = item.found
    return (
        os.fsencode(found.name),
        os.fsencode(item.target),
        found.size_bytes,
        found.modified_ns,
        found.mode,
        item.checksum,
    )


def settled_row(found: Found) -> Row:
    """Return the outcome columns of a file that was only just found."""
    if found.failure is None:
        return (None, None, None, 0.0, "", 0, 0, 0, "", 0, None)
    skipped = found.failure.code is Code.NOT_AN_IMAGE
    status = Status.SKIPPED if skipped else Status.FAILED
    return row_of(Outcome(-1, status, found.failure, attempts=0), None)


def row_of(outcome: Outcome, finished_seconds: float | None) -> Row:
    """Return an outcome as the columns of `OUTCOME`."""
    failure = outcome.failure
    return (
        outcome.status,
        failure and failure.code,
        # A name that is not UTF-8 can stand in a sentence; SQLite's texts are UTF-8.
        failure and printable(failure.sentence),
        outcome.seconds,
        outcome.machine,
        outcome.width_pixels,
        outcome.height_pixels,
        outcome.bytes_out,
        " ".join(outcome.notes),
        outcome.attempts,
        finished_seconds,
    )


def entry_of(row: Row) -> Entry:
    """Return the entry of a row: source, target, size, id, and the columns of `OUTCOME`."""
    source, target, size_bytes, index, status, code, sentence, *rest, finished_seconds = row
    seconds, machine, width_pixels, height_pixels, bytes_out, notes, attempts = rest
    outcome = Outcome(
        index=index,
        status=Status(status or Status.NOT_DONE),
        failure=Failure(Code(code), sentence) if code else None,
        seconds=seconds,
        machine=machine,
        width_pixels=width_pixels,
        height_pixels=height_pixels,
        bytes_out=bytes_out,
        notes=tuple(notes.split()),
        attempts=attempts,
    )
    return Entry(os.fsdecode(source), os.fsdecode(target), size_bytes, outcome, finished_seconds)


def same_input(row: Row, item: Planned) -> bool:
    """Whether the input is the one a row was made for, by its content if that was asked for."""
    _, _, size_bytes, modified_ns, _, checksum = row
    if size_bytes != item.found.size_bytes:
        return False
    if item.checksum is not None:
        return bool(checksum == item.checksum)
    return bool(modified_ns == item.found.modified_ns)


def has_size(path: Path, size_bytes: int) -> bool:
    """Whether a file is there, as large as it should be."""
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False
