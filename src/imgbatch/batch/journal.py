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
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from imgbatch.batch import journal_tables as tables
from imgbatch.batch.journal_tables import Planned, Totals, columns, outcome_of, outcome_of_scan
from imgbatch.batch.model import Failure, MachineUse, Outcome, Status
from imgbatch.batch.scan import Found
from imgbatch.batch.thumbnails import MOST_KEPT, jpeg_size, rank
from imgbatch.errors import Code, EngineError, ImgbatchError, OutputError, UsageError

FORMAT = 3
SUFFIX = ".journal"


class Journal:
    """The journal of one run, open for as long as the run goes on; for use from any thread.

    Parameters
    ----------
    path
        The SQLite file; `create` and `resume` make the object.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_begun = False
        with self._errors():
            self._connection = _connect(path)
        self._lock = threading.Lock()
        self._last_earlier = -1

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
            for statement in tables.SCHEMA:  # executescript() would end the transaction
                journal._connection.execute(statement)
            journal._note({**about, "format": FORMAT})
        journal._is_begun = True
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
        with closing(journal):
            ((written,),) = journal.rows("SELECT count(*) FROM files WHERE status = 'written'")
            source = journal.about().get("input")
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
            If there is none, it belongs to another input or is of another version of imgbatch, or
            another run is using it.
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
        with journal._transaction():
            if before.get("recipe") != about.get("recipe"):
                journal._connection.execute("UPDATE files SET status = NULL")
            journal._note(about)
        ((last,),) = journal.rows("SELECT coalesce(max(id), -1) FROM files")
        journal._last_earlier = last
        journal._is_begun = True
        return journal

    def about(self) -> dict[str, object]:
        """Return what the run is, as it was given to `create` or `resume`."""
        rows = self.rows("SELECT key, value FROM about")
        try:
            return {key: json.loads(value) for key, value in rows}
        except (TypeError, ValueError) as error:
            raise _not_ours(self.path) from error

    def plan(self, batch: Sequence[Planned]) -> list[tuple[int, Outcome]]:
        """Add files to the plan.

        Returns
        -------
        list of tuple
            Size and outcome of those that need no work: done by an earlier run, whose results are
            there, or no images by what the scan saw.
        """
        settled = []
        with self._transaction():
            for item in batch:
                row = tables.columns_of_file(item)
                before = self._connection.execute(tables.FILE, row).fetchone()
                outcome = outcome_of_scan(item.found)
                if before is not None:
                    if before["id"] <= self._last_earlier:
                        outcome = _outcome_before(before, item) or outcome
                    elif before["status"] is None or _is_unchanged(before, item.found):
                        continue
                    if outcome.status is not Status.WRITTEN:
                        self._connection.execute(tables.FORGET_THUMBNAILS, row)
                self._connection.execute(tables.INSERT, {**row, **columns(outcome)})
                if outcome.status is not Status.NOT_DONE:
                    settled.append((item.found.size_bytes, outcome))
        return settled

    def planned_before(self, name: str) -> bool:
        """Whether a file was planned already, by this run or by one that it continues."""
        return bool(self.rows(tables.FILE, source=os.fsencode(name)))

    def knows(self, found: Found) -> bool:
        """Whether this run has planned a file as it is now."""
        rows = self.rows(tables.FILE, source=os.fsencode(found.name))
        return any(row["id"] > self._last_earlier and _is_unchanged(row, found) for row in rows)

    def end_of_plan(self) -> None:
        """Forget what earlier runs did with files that are no longer there."""
        with self._transaction():
            self._connection.execute("DELETE FROM files WHERE id <= ?", (self._last_earlier,))
            self._connection.execute(
                "DELETE FROM thumbnails WHERE source NOT IN (SELECT source FROM files)"
            )

    def open_files(self, after: int, limit: int) -> list[sqlite3.Row]:
        """Return the next files without an outcome: id, source, and what the scan saw.

        Parameters
        ----------
        after
            The id of the last one that was returned; -1 at first.
        """
        return self.rows(tables.OPEN_FILES, after=after, limit=limit)

    def finish(self, outcome: Outcome, finished_seconds: float) -> bool:
        """Record what became of a job.

        Returns
        -------
        bool
            False if it had an outcome already, which stays.
        """
        row = {**columns(outcome), "id": outcome.index, "finished_seconds": finished_seconds}
        with self._transaction():
            done = self._connection.execute(tables.FINISH, row)
            if done.rowcount and outcome.thumbnails and all(map(jpeg_size, outcome.thumbnails)):
                before, after = outcome.thumbnails
                place = {"rank": rank(outcome.index), "most": MOST_KEPT}
                for statement in tables.KEEP_THUMBNAILS:
                    pair = {"id": outcome.index, "before": before, "after": after, **place}
                    self._connection.execute(statement, pair)
        return done.rowcount == 1

    def note_machines(self, machines: Iterable[MachineUse]) -> None:
        """Record who takes part; what each did is counted from the outcomes."""
        with self._transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO machines VALUES (?, ?, ?, ?)",
                ((machine.id, machine.host, machine.procs, machine.digest) for machine in machines),
            )

    def totals(self) -> Totals:
        """Return the sums over all files of the plan."""
        reasons = self.rows(tables.REASONS)
        ((bytes_in, bytes_out, timed),) = self.rows(tables.SUMS)
        return Totals(
            {Status(name): files for name, files in self.rows(tables.STATUSES)},
            {Code(row["code"]): row["files"] for row in reasons},
            bytes_in,
            bytes_out,
            timed,
            tuple(MachineUse(*row) for row in self.rows(tables.MACHINES)),
            tuple(
                Failure(Code(row["code"]), row["sentence"])
                for row in reasons
                if row["status"] == Status.FAILED
            ),
        )

    def files(self) -> Iterator[sqlite3.Row]:
        """Yield all files of the plan, by name; a few hundred are in memory at a time."""
        # Names differ, so the last one seen is where the next piece begins.
        last = b""
        while rows := self.rows(tables.FILES, last=last):
            yield from rows
            last = rows[-1]["source"]

    def rows(self, query: str, **values: object) -> list[sqlite3.Row]:
        """Return what one of the queries of `imgbatch.batch.journal_tables` selects."""
        with self._lock, self._errors():
            values["earlier"] = self._last_earlier
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Write what is outstanding and give the lock back."""
        with self._lock:
            self._connection.close()

    @classmethod
    def _open_begun(cls, path: Path) -> Journal | None:
        """Open a journal if it has its tables; a run that was killed at once made none."""
        if not os.path.lexists(path):
            return None
        journal = cls._open(path)
        try:
            found = set(journal.rows(tables.STORED))
            if not found:
                journal.close()
                return None
            journal._check_format(found)
        except BaseException:
            journal.close()
            raise
        return journal

    def _check_format(self, found: set[sqlite3.Row]) -> None:
        """Refuse what another version has written, and tables that are not just ours.

        SQLite runs what is stored in a file (triggers, views, defaults), also of another author.
        """
        if tables.SCHEMA[0] in {row["sql"] for row in found}:
            number = self.about().get("format")
            if number != FORMAT:
                raise UsageError(
                    Code.NOTHING_TO_RESUME,
                    f"{self.path} is of another version of imgbatch (its format is {number}, this "
                    f"one's {FORMAT}); continue with that version, or begin again with --overwrite",
                )
        with closing(_connect(":memory:")) as ours:
            for statement in tables.SCHEMA:
                ours.execute(statement)
            if found != set(ours.execute(tables.STORED)):
                raise _not_ours(self.path)

    @classmethod
    def _open(cls, path: Path) -> Journal:
        if path.is_symlink():
            raise UsageError(
                Code.NOTHING_TO_RESUME, f"{path} is a link, and no journal of imgbatch; remove it"
            )
        journal = cls(path)
        try:
            with journal._errors():
                _take(journal._connection)
        except BaseException:
            journal.close()
            raise
        return journal

    def _note(self, about: Mapping[str, object]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO about VALUES (?, ?)",
            ((key, json.dumps(value)) for key, value in about.items()),
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _meaning(self.path, error, is_begun=self._is_begun) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._errors(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield


def _is_unchanged(row: sqlite3.Row, found: Found) -> bool:
    if found.etag:  # an object that was written again with the same content is the same
        return (row["size_bytes"], row["etag"]) == (found.size_bytes, found.etag)
    return (row["size_bytes"], row["modified_ns"]) == (found.size_bytes, found.modified_ns)


def _outcome_before(row: sqlite3.Row, item: Planned) -> Outcome | None:
    """Return the outcome an earlier run had for just this file, if its result is there."""
    if item.checksum is None:
        is_same = _is_unchanged(row, item.found)
    else:
        is_same = row["checksum"] == item.checksum
    outcome = outcome_of(row)
    if not is_same or outcome is None:
        return None
    if outcome.status is Status.WRITTEN:
        return outcome if item.there_bytes == outcome.bytes_out else None
    return outcome if outcome.status is Status.SKIPPED else None


def _meaning(path: Path, error: sqlite3.Error, *, is_begun: bool) -> ImgbatchError:
    """Return what an error of SQLite's means for the run."""
    name = getattr(error, "sqlite_errorname", "")  # what the binding finds wrong has none
    if name in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
        return UsageError(
            Code.OUTPUTS_EXIST,
            f"another run is using {path}; wait until it ends, or choose another output folder",
        )
    if name in {"SQLITE_NOTADB", "SQLITE_CORRUPT"} and not is_begun:
        return _not_ours(path)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return OutputError(
            Code.DISK_FULL if name == "SQLITE_FULL" else Code.OUTPUT_FOLDER_UNWRITABLE,
            f"the journal {path} can't be written: {error}; make room for it, then continue with "
            "--resume",
        )
    return EngineError(
        Code.ENGINE_FAILED,
        f"the journal {path} was damaged while the run went on: {error}; move it away and run "
        "with --overwrite",
    )


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def _take(connection: sqlite3.Connection) -> None:
    """Lock a journal for as long as it is open, and run nothing that may be stored in it."""
    connection.execute("PRAGMA trusted_schema = OFF")
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
    # In this order: an exclusive write-ahead log needs no shared memory, which network file
    # systems don't have.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")


def _not_ours(path: Path) -> UsageError:
    return UsageError(
        Code.NOTHING_TO_RESUME,
        f"{path} is damaged, or no journal of imgbatch; move it away and run with --overwrite",
    )
