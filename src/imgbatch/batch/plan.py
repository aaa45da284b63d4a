"""From files that are found to jobs that can be done, while the search goes on.

The search runs in a thread and fills the journal; jobs are taken from there. So the first image
is computed while the last is still to be found, and neither side holds a list.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

from imgbatch.batch.journal import Journal
from imgbatch.batch.journal_tables import Planned
from imgbatch.batch.model import Failure, Job
from imgbatch.batch.names import Naming
from imgbatch.batch.objects import Inventory
from imgbatch.batch.scan import Found
from imgbatch.batch.tally import Tally
from imgbatch.batch.thumbnails import is_wanted
from imgbatch.batch.write import sweep
from imgbatch.errors import Code
from imgbatch.images.formats import IMAGE_SUFFIXES
from imgbatch.storage.places import Location, lies_in

_BATCH_FILES = 256
_BATCH_SECONDS = 0.05
_JOBS_AT_ONCE = 256
"""Jobs that are put in order, the largest first. Against the order in which they were found, this
saves 4 % of the time on two workers behind RabbitMQ, where a worker holds some images ahead."""
_GIVEN_UP_SECONDS = 1.0


@dataclass(eq=False)
class Planner:
    """Fills a journal with what is found, in a thread of its own, and hands out the jobs.

    Jobs are taken without waiting, all by one thread: `take` as many as there is room for, at
    first, whenever there is room again after it returned all that was asked for, and whenever
    `wake` is readable (``take(0)`` if there is no room then); until `is_exhausted`.

    Parameters
    ----------
    journal
        Where the plan is kept.
    found
        The files, as they are found; None for a pause in a search that never ends.
    source
        The folder to which the names of files are relative.
    output
        What lies where results go; resolved.
    naming
        How output names are made.
    tally
        Where what was found is counted.
    checksum
        Whether a file is known again by its content; an object always is.
    guard
        Whether a file whose output name is taken, by a file that the run it continues had not
        planned, fails; where all names were checked before, this costs for nothing.
    thumbnails
        Whether those of a sample of the files are wanted.

    Attributes
    ----------
    wake
        A descriptor (an eventfd) that is readable when there is news since the last `take`: more
        jobs, or the end of the search. Only to be waited for; `take` reads it.
    is_exhausted
        Whether all jobs were taken and none will come, as the last `take` found it.
    """

    journal: Journal
    found: Iterator[Found | None]
    source: Location
    output: Inventory
    naming: Naming
    tally: Tally
    checksum: bool = False
    guard: bool = False
    thumbnails: bool = False

    def __post_init__(self) -> None:
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_exhausted = False
        self._next: deque[Job] = deque()
        self._last_id = -1
        self._taken: dict[int, Job] = {}
        self._photographs = (
            0  # as far as names tell: 300 texts beside them leave the sample as it is
        )
        self._is_found = False
        self._closed = False
        self._error: BaseException | None = None
        self._real_source = self.source.resolve()
        self._swept: str | None = None
        self._thread = threading.Thread(target=self._search, name="imgbatch-scan", daemon=True)

    def start(self) -> None:
        """Begin the search."""
        self._thread.start()

    def take(self, limit: int) -> list[Job]:
        """Return the next jobs that are known, `limit` at most, without waiting for any.

        Of those that are known, 256 at most at a time, the largest come first: so at the end of a
        run small ones fill the gaps, and no worker begins a long one when the others are done.

        Raises
        ------
        ImgbatchError
            What made the search fail, after the jobs that it found before.
        """
        if not self.is_exhausted:
            with suppress(BlockingIOError):
                os.eventfd_read(self.wake)
        jobs: list[Job] = []
        while len(jobs) < limit and (self._next or self._look_up()):
            jobs.append(self._next.popleft())
        self._taken.update((job.index, job) for job in jobs)
        if self.is_exhausted and not jobs and self._error is not None:
            raise self._error
        return jobs

    def forget(self, index: int) -> Job | None:
        """Return a job that was taken; None if there is none, or it was forgotten already."""
        return self._taken.pop(index, None)

    def finish(self, patience_seconds: float) -> bool:
        """Wait for the search, which goes on after a stop so that the report lists all files.

        Returns
        -------
        bool
            Whether it found all; it is given up if it takes longer than that.
        """
        self._thread.join(patience_seconds)
        self._closed = True
        self._thread.join(_GIVEN_UP_SECONDS)  # it may hang in a network file system for ever
        self.is_exhausted = True
        self._next.clear()
        if not self._thread.is_alive():  # otherwise it writes to `wake` when it comes back
            os.close(self.wake)
        return self.tally.plan_complete

    def _look_up(self) -> bool:
        """Fetch the next jobs from the journal; return whether there are any."""
        if self.is_exhausted:
            return False
        is_found = self._is_found  # before looking: what is found later is looked up later
        rows = self.journal.open_files(self._last_id, _JOBS_AT_ONCE)
        self.is_exhausted = is_found and not rows
        if rows:
            self._last_id = rows[-1]["id"]
            rows.sort(key=itemgetter("size_bytes"), reverse=True)
            self._next.extend(map(self._job_of, rows))
        return bool(rows)

    def _job_of(self, row: sqlite3.Row) -> Job:
        # The target is never read from the file, which may have come from anywhere.
        name = os.fsdecode(row["source"])
        return Job(
            index=row["id"],
            source=self.source / name,
            target=self.output.place / self.naming.target(name),
            size_bytes=row["size_bytes"],
            modified_ns=row["modified_ns"],
            mode=row["mode"],
            etag=row["etag"],
            wants_thumbnails=self.thumbnails and is_wanted(row["id"], self._photographs),
        )

    def _search(self) -> None:
        try:
            self._plan_all()
        except BaseException as error:
            self._error = error
        self._is_found = True
        os.eventfd_write(self.wake, 1)

    def _plan_all(self) -> None:
        batch: list[Planned] = []
        flushed = time.monotonic()
        for found in self.found:
            if found is not None:
                batch.append(self._planned(found))
            late = time.monotonic() - flushed > _BATCH_SECONDS
            if batch and (found is None or late or len(batch) >= _BATCH_FILES):
                self._flush(batch)
                batch, flushed = [], time.monotonic()
            if self._closed:
                return
        self._flush(batch)
        self.journal.end_of_plan()
        self.tally.plan_complete = True

    def _flush(self, batch: list[Planned]) -> None:
        settled = self.journal.plan(batch)
        self.tally.plan(len(batch), sum(item.found.size_bytes for item in batch))
        for size_bytes, outcome in settled:
            earlier = outcome.attempts > 0
            self.tally.end(outcome.status, size_bytes, outcome.bytes_out, earlier=earlier)
        os.eventfd_write(self.wake, 1)

    def _planned(self, found: Found) -> Planned:
        name = self.naming.target(found.name)
        target = self.output.place / name
        suffix = os.path.splitext(found.name)[1].lower()  # noqa: PTH122  # for each of 100,000 names
        self._photographs += not suffix or suffix in IMAGE_SUFFIXES
        self._sweep_once(os.path.dirname(name))  # noqa: PTH120  # for each of 100,000 names
        there_bytes = self.output.size_of(name) if self.guard else None
        if found.failure is None:
            taken = there_bytes is not None and not self.journal.planned_before(found.name)
            found = replace(found, failure=self._obstacle(target, taken=taken))
        checksum = None
        if self.checksum and found.failure is None and isinstance(self.source, Path):
            checksum = checksum_of(self.source / found.name)
        return Planned(found, there_bytes, checksum)

    def _obstacle(self, target: Location, *, taken: bool) -> Failure | None:
        """Return why a file can't have its output name, if it can't."""
        source = self._real_source
        if lies_in(target, source) and not lies_in(self.output.place, source):
            sentence = f"its result {target} would lie in the input folder; choose another OUTPUT"
            return Failure(Code.OUTPUT_EXISTS, sentence)
        if taken:
            sentence = f"{target} exists, and was not written by this run; --overwrite replaces it"
            return Failure(Code.OUTPUT_EXISTS, sentence)
        return None

    def _sweep_once(self, folder: str) -> None:
        """Remove what dead runs left, folder by folder: that is how a search comes along."""
        if folder != self._swept and isinstance(self.output.place, Path):
            self._swept = folder
            sweep(self.output.place / folder)


def checksum_of(path: Path) -> bytes | None:
    """Return the xxh3 digest (128 bits) of a file's content, None if it can't be read."""
    import xxhash

    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, xxhash.xxh3_128).digest()
    except OSError:
        return None
