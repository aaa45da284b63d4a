"""What a run planned and what became of each file, kept on disk while it goes on.

An SQLite file beside the report. Each outcome is committed as it comes (18 µs), so a run that is
killed loses none that it knew of; and since the plan lies here and not in memory, a run of
100,000 files needs no more of it than one of 100.

Without a sync for each commit a power cut may cost the last outcomes: their images are then
computed again. The file is locked for as long as the run goes on, so that no second run writes to
the same journal; the lock dies with the process.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from imgbatch.batch.model import Failure, Job, MachineUse, Outcome, Status
from imgbatch.batch.rows import (
    OUTCOME,
    PLANNED,
    Entry,
    Planned,
    Row,
    entry_of,
    has_size,
    planned_row,
    row_of,
    same_input,
    settled_row,
)
from imgbatch.batch.scan import Found
from imgbatch.errors import Code, EngineError, OutputError, UsageError

FORMAT = 1
SUFFIX = ".journal"

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE machines (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, procs INTEGER NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source BLOB NOT NULL UNIQUE,
    target BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    checksum BLOB,
    status TEXT,
    code TEXT,
    sentence TEXT,
    seconds REAL NOT NULL DEFAULT 0,
    machine TEXT NOT NULL DEFAULT '',
    width_pixels INTEGER NOT NULL DEFAULT 0,
    height_pixels INTEGER NOT NULL DEFAULT 0,
    bytes_out INTEGER NOT NULL DEFAULT 0,
    notes TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    finished_seconds REAL
);
CREATE TABLE earlier AS SELECT * FROM files;
CREATE UNIQUE INDEX earlier_source ON earlier (source);
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """The plan's sums: files by status, failures by code, bytes of the files written."""

    by_status: Mapping[Status, int] = field(default_factory=dict)
    by_code: Mapping[Code, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def files(self) -> int:
        """All files of the plan."""
        return sum(self.by_status.values())


class Journal:
    """The journal of one run, open for as long as the run goes on; for use from any thread.

    Parameters
    ----------
    path
        The SQLite file; `create` and `resume` make the object.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()
        self._resumed_output: Path | None = None

    @classmethod
    def create(cls, path: Path, about: Mapping[str, object]) -> Journal:
        """Begin a journal, in place of the one that may be there.

        Parameters
        ----------
        about
            What the run is: input, output, recipe; plain values.

        Raises
        ------
        UsageError
            If another run is using it.
        OutputError
            If it can't be written.
        """
        if path.exists():
            cls._open(path).close()  # refuses what is locked or no journal of ours
            path.unlink()
        journal = cls._open(path)
        with journal._transaction():
            for statement in _SCHEMA.split(";"):  # executescript() would end the transaction
                journal._connection.execute(statement)
            journal._note({**about, "format": FORMAT})
        return journal

    @classmethod
    def refuse_if_of_use(cls, path: Path) -> None:
        """Refuse to begin a run in place of one that has written files.

        Raises
        ------
        UsageError
            If there is a journal with files written, or one that another run is using.
        """
        journal = cls._open_begun(path)
        if journal is None:
            return
        try:
            written = journal.totals().by_status.get(Status.WRITTEN, 0)
            source = journal.about().get("input")
        finally:
            journal.close()
        if written:
            raise UsageError(
                Code.OUTPUTS_EXIST,
                f"{path.parent} has the report of another run ({written} files written, of "
                f"{source}); --resume continues that run, --overwrite forgets it, --report PATH "
                "puts the new report elsewhere",
            )

    @classmethod
    def resume(cls, path: Path, about: Mapping[str, object]) -> Journal:
        """Take up an earlier run's journal; what it finished, with the same recipe, is kept.

        Raises
        ------
        UsageError
            If there is none, it belongs to another input, or another run is using it.
        """
        journal = cls._open_begun(path)
        if journal is None:
            raise UsageError(
                Code.NOTHING_TO_RESUME,
                f"there is no run to resume: {path} is missing; leave --resume out to start one",
            )
        before = journal.about()
        if before.get("input") != about.get("input"):
            journal.close()
            raise UsageError(
                Code.NOTHING_TO_RESUME,
                f"{path} is of a run of {before.get('input')}; --resume continues the same INPUT: "
                "choose another output folder for a new run",
            )
        journal._set_aside(same_recipe=before.get("recipe") == about.get("recipe"))
        journal._note(about)
        journal._resumed_output = Path(str(about["output"]))
        return journal

    def about(self) -> dict[str, object]:
        """Return what the run is, as it was given to `create` or `resume`."""
        rows = self._rows("SELECT key, value FROM about")
        return {key: json.loads(value) for key, value in rows}

    def plan(self, batch: Sequence[Planned]) -> list[Entry]:
        """Add files to the plan.

        Returns
        -------
        list of Entry
            Those that need no work: done by an earlier run, or no images by what the scan saw.
        """
        settled = []
        with self._transaction():
            for item in batch:
                self._forget_changed(item.found)
                row = self._outcome_before(item) or settled_row(item.found)
                added = self._connection.execute(
                    f"INSERT OR IGNORE INTO files ({PLANNED}, {OUTCOME}) "
                    f"VALUES ({', '.join('?' * 17)})",
                    (*planned_row(item), *row),
                )
                if added.rowcount and row[0] is not None:
                    settled.append(entry_of((*planned_row(item)[:3], added.lastrowid, *row)))
        return settled

    def planned_before(self, name: str) -> bool:
        """Whether a file was planned already, by this run or by one that it continues."""
        tables = ("earlier", "files")
        query = " UNION ".join(f"SELECT 1 FROM {table} WHERE source = ?" for table in tables)
        return bool(self._rows(query, [os.fsencode(name)] * len(tables)))

    def knows(self, found: Found) -> bool:
        """Whether a file was planned as it is now."""
        query = "SELECT 1 FROM files WHERE source = ? AND size_bytes = ? AND modified_ns = ?"
        values = (os.fsencode(found.name), found.size_bytes, found.modified_ns)
        return bool(self._rows(query, values))

    def end_of_plan(self) -> None:
        """Forget what earlier runs did with files that are no longer there."""
        with self._transaction():
            self._connection.execute("DELETE FROM earlier")

    def open_jobs(self, after: int, limit: int, source: Path, target: Path) -> list[Job]:
        """Return the next files without an outcome.

        Parameters
        ----------
        after
            The index of the last job that was taken; -1 at first.
        source, target
            The input and the output folder.
        """
        rows = self._rows(
            "SELECT id, source, target, size_bytes, modified_ns, mode FROM files "
            "WHERE id > ? AND status IS NULL ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [
            Job(row[0], source / os.fsdecode(row[1]), target / os.fsdecode(row[2]), *row[3:])
            for row in rows
        ]

    def finish(self, outcome: Outcome, finished_seconds: float) -> bool:
        """Record what became of a job.

        Returns
        -------
        bool
            False if it had an outcome already, which stays.
        """
        assignments = ", ".join(f"{name} = ?" for name in OUTCOME.split(", "))
        with self._transaction():
            done = self._connection.execute(
                f"UPDATE files SET {assignments} WHERE id = ? AND status IS NULL",
                (*row_of(outcome, finished_seconds), outcome.index),
            )
        return done.rowcount == 1

    def note_machines(self, machines: Iterable[MachineUse]) -> None:
        """Record who takes part; what each did is counted from the outcomes."""
        with self._transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO machines VALUES (?, ?, ?, ?)",
                ((machine.id, machine.host, machine.procs, machine.digest) for machine in machines),
            )

    def machines(self) -> list[MachineUse]:
        """Return the machines that were noted, with what each did."""
        rows = self._rows(
            "SELECT m.id, m.host, m.procs, count(f.id), coalesce(sum(f.seconds), 0.0), m.digest "
            "FROM machines m LEFT JOIN files f ON f.machine = m.id GROUP BY m.id ORDER BY m.id"
        )
        return [MachineUse(*row) for row in rows]

    def totals(self) -> Totals:
        """Return the sums over all files of the plan."""
        rows = self._rows(
            "SELECT coalesce(status, ?), count(*), sum(size_bytes), sum(bytes_out) FROM files "
            "GROUP BY 1",
            (Status.NOT_DONE,),
        )
        codes = self._rows(
            "SELECT code, count(*) FROM files WHERE code IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        written = next((row for row in rows if row[0] == Status.WRITTEN), ("", 0, 0, 0))
        return Totals(
            {Status(row[0]): row[1] for row in rows},
            {Code(row[0]): row[1] for row in codes},
            bytes_in=written[2],
            bytes_out=written[3],
        )

    def examples(self) -> list[Failure]:
        """Return one failure for each code of files that failed, the most frequent code first."""
        rows = self._rows(
            "SELECT code, sentence, count(*), min(source) FROM files WHERE status = ? "
            "GROUP BY code ORDER BY 3 DESC, 1",
            (Status.FAILED,),
        )
        return [Failure(Code(code), sentence) for code, sentence, _, _ in rows]

    def entries(self) -> Iterator[Entry]:
        """Yield all files of the plan, by name; a few hundred are in memory at a time."""
        # Names differ, so the last one seen is where the next piece begins.
        last = b""
        while True:
            rows = self._rows(
                f"SELECT source, target, size_bytes, id, {OUTCOME} FROM files "
                "WHERE source > ? ORDER BY source LIMIT 500",
                (last,),
            )
            yield from map(entry_of, rows)
            if not rows:
                return
            last = rows[-1][0]

    def close(self) -> None:
        """Write what is outstanding and give the lock back."""
        with self._lock:
            self._connection.close()

    def remove(self) -> None:
        """Close the journal of a run that never began, and leave no trace of it."""
        self.close()
        self.path.unlink(missing_ok=True)

    @classmethod
    def _open_begun(cls, path: Path) -> Journal | None:
        """Open a journal if it has its tables; a run that was killed at once made none."""
        if not path.exists():
            return None
        journal = cls._open(path)
        if journal._rows("SELECT 1 FROM sqlite_master WHERE name = 'files'"):
            return journal
        journal.close()
        return None

    @classmethod
    def _open(cls, path: Path) -> Journal:
        try:
            connection = sqlite3.connect(
                path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
            try:
                _take(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise _open_error(path, error) from error
        return cls(path, connection)

    def _note(self, about: Mapping[str, object]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO about VALUES (?, ?)",
            ((key, json.dumps(value)) for key, value in about.items()),
        )

    def _set_aside(self, *, same_recipe: bool) -> None:
        """Make room for a new plan; what is done is kept aside until the scan finds its file."""
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO earlier SELECT * FROM files")
            if not same_recipe:
                self._connection.execute("UPDATE earlier SET status = NULL")
            self._connection.execute("DELETE FROM files")

    def _forget_changed(self, found: Found) -> None:
        """Make room for a file that was planned, has ended, and is another by now."""
        self._connection.execute(
            "DELETE FROM files WHERE source = ? AND status IS NOT NULL "
            "AND (size_bytes, modified_ns) != (?, ?)",
            (os.fsencode(found.name), found.size_bytes, found.modified_ns),
        )

    def _outcome_before(self, item: Planned) -> Row | None:
        """Return the outcome an earlier run had for just this file, if its output is there."""
        if self._resumed_output is None:
            return None
        rows = self._connection.execute(
            f"SELECT {PLANNED}, {OUTCOME} FROM earlier WHERE source = ? AND status IN (?, ?)",
            (os.fsencode(item.found.name), Status.WRITTEN, Status.SKIPPED),
        ).fetchall()
        if not rows or not same_input(rows[0][:6], item):
            return None
        outcome = rows[0][6:]
        status, bytes_out = outcome[0], outcome[7]
        written = self._resumed_output / item.target
        if status == Status.WRITTEN and not has_size(written, bytes_out):
            return None
        return (*outcome[:-1], None)

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        with self._lock, _translated(self.path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, _translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what SQLite raises while a run goes on into what it means for the run."""
    try:
        yield
    except sqlite3.Error as error:
        if _name_of(error) in {"SQLITE_FULL", "SQLITE_READONLY"}:
            raise OutputError(
                Code.DISK_FULL,
                f"the journal {path} can't be written: {error}; make room, then continue with "
                "--resume",
            ) from error
        raise EngineError(
            Code.ENGINE_FAILED, f"the journal {path} can't be used any longer: {error}"
        ) from error


def _name_of(error: sqlite3.Error) -> str:
    """Return SQLite's name of an error; what the binding itself finds wrong has none."""
    return getattr(error, "sqlite_errorname", "")


def _take(connection: sqlite3.Connection) -> None:
    """Lock a journal for as long as it is open."""
    # In this order: an exclusive write-ahead log needs no shared memory, which network file
    # systems don't have.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")


def _open_error(path: Path, error: sqlite3.Error) -> UsageError | OutputError:
    if _name_of(error) in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
        return UsageError(
            Code.OUTPUTS_EXIST,
            f"another run is using {path}; wait until it ends, or choose another output folder",
        )
    if _name_of(error) in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
        return UsageError(
            Code.NOTHING_TO_RESUME,
            f"{path} is damaged, or no journal of imgbatch; move it away and run with --overwrite",
        )
    return OutputError(
        Code.OUTPUT_FOLDER_UNWRITABLE, f"the journal {path} can't be written: {error}"
    )
