"""The journal's tables, and what is between their rows and the values of a run."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from imgbatch.batch.model import Failure, MachineUse, Outcome, Status
from imgbatch.batch.scan import Found
from imgbatch.errors import Code
from imgbatch.text import printable

Row: TypeAlias = sqlite3.Row | Mapping[str, Any]
"""One that SQLite gives, or that is as good as one."""
SCHEMA = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE machines (id TEXT PRIMARY KEY, host TEXT NOT NULL, procs INTEGER NOT NULL, "
    "digest TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE files (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source BLOB NOT NULL UNIQUE,
        size_bytes INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        mode INTEGER NOT NULL,
        etag TEXT NOT NULL,
        checksum BLOB,
        status TEXT,
        code TEXT,
        sentence TEXT,
        seconds REAL NOT NULL,
        machine TEXT NOT NULL,
        width_pixels INTEGER NOT NULL,
        height_pixels INTEGER NOT NULL,
        bytes_out INTEGER NOT NULL,
        notes TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        finished_seconds REAL
    )""",
    "CREATE TABLE thumbnails (source BLOB PRIMARY KEY, rank REAL NOT NULL, before BLOB NOT NULL, "
    "after BLOB NOT NULL)",
)
"""A file without a status is open; one that an earlier run planned has an id below the others'."""
_SEEN = ("size_bytes", "modified_ns", "mode", "etag")
_FIGURES: dict[str, type[Any]] = {
    "seconds": float, "machine": str, "width_pixels": int, "height_pixels": int, "bytes_out": int,
    "attempts": int,
}  # fmt: skip
OUTCOME = ("status", "code", "sentence", "notes", *_FIGURES)
_COLUMNS = ("source", "checksum", *_SEEN, *OUTCOME)
STORED = "SELECT type, name, tbl_name, sql FROM sqlite_master"
INSERT = (
    f"INSERT OR REPLACE INTO files ({', '.join(_COLUMNS)}) "
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
)
FINISH = (
    f"UPDATE files SET {', '.join(f'{name} = :{name}' for name in OUTCOME)}, "
    "finished_seconds = :finished_seconds WHERE id = :id AND status IS NULL"
)
FILE = "SELECT * FROM files WHERE source = :source"
OPEN_FILES = (
    "SELECT id, source, size_bytes, modified_ns, mode, etag FROM files "
    "WHERE id > max(:after, :earlier) AND status IS NULL ORDER BY id LIMIT :limit"
)
_SHOWN = f"source, size_bytes, finished_seconds, {', '.join(OUTCOME)}"
FILES = (
    f"SELECT {_SHOWN} FROM files WHERE source > :last AND id > :earlier ORDER BY source LIMIT 500"
)
# By +source: to walk through the index for the few that ended so would take ten times as long.
FIRST = (
    f"SELECT {_SHOWN} FROM files WHERE id > :earlier AND coalesce(status, 'not-done') = :status "
    "ORDER BY +source LIMIT :limit"
)
# Whatever a file from elsewhere has in these columns, it comes as bytes.
PICTURES = (
    f"SELECT {_SHOWN}, CAST(before AS BLOB) AS before, CAST(after AS BLOB) AS after "
    "FROM thumbnails JOIN files USING (source) WHERE id > :earlier AND status = 'written' "
    "ORDER BY source"
)
NOTES = (
    "SELECT notes, count(*) FROM files WHERE id > :earlier AND status = 'written' GROUP BY notes"
)
ENDS = (
    "SELECT CAST(finished_seconds / :step_seconds AS INTEGER), machine, count(*) FROM files "
    "WHERE id > :earlier AND finished_seconds NOT NULL AND status IN ('written', 'failed') "
    "GROUP BY 1, 2"
)
FORGET_THUMBNAILS = "DELETE FROM thumbnails WHERE source = :source"
KEEP_THUMBNAILS = (
    "INSERT OR REPLACE INTO thumbnails SELECT source, :rank, :before, :after FROM files "
    "WHERE id = :id",
    "DELETE FROM thumbnails WHERE source NOT IN "
    "(SELECT source FROM thumbnails ORDER BY rank LIMIT :most)",
)
STATUSES = "SELECT coalesce(status, 'not-done'), count(*) FROM files WHERE id > :earlier GROUP BY 1"
REASONS = (
    "SELECT status, code, count(*) AS files, sentence, min(source) FROM files "
    "WHERE id > :earlier AND code NOT NULL GROUP BY status, code ORDER BY files DESC"
)
SUMS = (
    "SELECT coalesce(sum(size_bytes) FILTER (WHERE status = 'written'), 0), "
    "coalesce(sum(bytes_out), 0), count(finished_seconds) FROM files WHERE id > :earlier"
)
MACHINES = (
    "SELECT machines.id, host, procs, count(source), total(seconds), digest FROM machines "
    "LEFT JOIN files ON machine = machines.id AND files.id > :earlier GROUP BY 1 ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A file of the plan.

    Parameters
    ----------
    found
        What was found.
    there_bytes
        The size of what has its result's name already, if that was looked at and there is any.
    checksum
        Of its content, if it was asked for.
    """

    found: Found
    there_bytes: int | None = None
    checksum: bytes | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The plan's sums.

    Parameters
    ----------
    by_status
        Files by what became of them.
    by_code
        Those with a reason by the reason's code, the most frequent first.
    bytes_in, bytes_out
        Sizes of the sources and of the results of the files written.
    timed
        Files written or failed in this run, whose time is known.
    machines
        The machines that were noted, with what each did.
    examples
        For each code of files that failed, the sentence of one, the most frequent code first.
    """

    by_status: Mapping[Status, int] = field(default_factory=dict)
    by_code: Mapping[Code, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    timed: int = 0
    machines: tuple[MachineUse, ...] = ()
    examples: tuple[Failure, ...] = ()

    @property
    def files(self) -> int:
        """All files of the plan."""
        return sum(self.by_status.values())


OPEN = Outcome(-1, Status.NOT_DONE, attempts=0)


def outcome_of_scan(found: Found) -> Outcome:
    """Return what has become of a file that was only just found, which mostly is nothing yet."""
    if found.failure is None:
        return OPEN
    status = Status.SKIPPED if found.failure.code is Code.NOT_AN_IMAGE else Status.FAILED
    return Outcome(-1, status, found.failure, attempts=0)


def columns_of_file(item: Planned) -> dict[str, object]:
    """Return the values of a file's columns that its outcome does not change."""
    name = {"source": os.fsencode(item.found.name), "checksum": item.checksum}
    return {**name, **{column: getattr(item.found, column) for column in _SEEN}}


def columns(outcome: Outcome) -> dict[str, object]:
    """Return the values of a file's columns `OUTCOME`; without a status as long as it is open."""
    failure = outcome.failure
    return {
        "status": None if outcome.status is Status.NOT_DONE else outcome.status,
        "code": failure and failure.code,
        # A name that is not UTF-8 can stand in a sentence; SQLite's texts are UTF-8.
        "sentence": failure and printable(failure.sentence),
        "notes": " ".join(outcome.notes),
        **{name: getattr(outcome, name) for name in _FIGURES},
    }


def outcome_of(row: Row) -> Outcome | None:
    """Return the outcome that a row tells of; None if there is none, or none that makes sense."""
    try:
        return Outcome(
            index=row["id"],
            status=Status(row["status"]),
            failure=Failure(Code(row["code"]), str(row["sentence"])) if row["code"] else None,
            notes=tuple(str(row["notes"]).split()),
            **{name: kind(row[name]) for name, kind in _FIGURES.items()},
        )
    except (TypeError, ValueError):
        return None
