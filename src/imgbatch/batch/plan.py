"""From files that are found to jobs that can be done, while the search goes on.

The search runs in a thread and fills the journal; jobs are taken from there. So the first image
is computed while the last is still to be found, and neither side holds a list.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from imgbatch.batch.journal import Journal
from imgbatch.batch.model import Failure, Job
from imgbatch.batch.names import Naming
from imgbatch.batch.rows import Planned
from imgbatch.batch.scan import Found
from imgbatch.batch.tally import Tally
from imgbatch.batch.write import sweep
from imgbatch.errors import Code

_BATCH_FILES = 256
_BATCH_SECONDS = 0.05
_JOBS_AT_ONCE = 256
"""Jobs that are put in order, the largest first. Against the order in which they were found, this
saves 4 % of the time on two workers behind RabbitMQ, where a worker holds some images ahead."""
_LOOK_UP_SECONDS = 0.1
_GIVEN_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a run's files come from and go to.

    Parameters
    ----------
    source
        The folder to which the names of its files are relative.
    target
        The output folder, resolved.
    """

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Rules:
    """What a file's place in the plan depends on.

    Parameters
    ----------
    naming
        How output names are made.
    checksum
        Whether a file is known again by its content.
    guard
        Whether a file whose output name is taken, by a file that the run it continues had not
        planned, fails; where all names were checked before, this costs for nothing.
    """

    naming: Naming
    checksum: bool = False
    guard: bool = False


class Planner:
    """Fills a journal with what is found, in a thread of its own, and hands out the jobs.

    Parameters
    ----------
    found
        The files, as they are found; None for a pause in a search that never ends.
    """

    def __init__(
        self,
        journal: Journal,
        found: Iterator[Found | None],
        folders: Folders,
        rules: Rules,
        tally: Tally,
    ) -> None:
        self._journal = journal
        self._found = found
        self._folders = folders
        self._real_source = folders.source.resolve()
        self._rules = rules
        self._tally = tally
        self._news = threading.Condition()
        self._news_number = 0
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self._swept: str | None = None
        self._thread = threading.Thread(target=self._search, name="imgbatch-scan", daemon=True)

    def start(self) -> None:
        """Begin the search."""
        self._thread.start()

    def jobs(self, stopped: threading.Event) -> Iterator[Job]:
        """Yield the jobs of the plan as it grows, until the search has ended or `stopped`.

        Of those that are known, 256 at most at a time, the largest come first: so at the end of a
        run small ones fill the gaps, and no worker begins a long one when the others are done.

        Raises
        ------
        ImgbatchError
            What made the search fail, after the jobs that it found before.
        """
        after = -1
        while not (stopped.is_set() or self._closed):
            ended, news = self._ended, self._news_number
            jobs = self._journal.open_jobs(
                after, _JOBS_AT_ONCE, self._folders.source, self._folders.target
            )
            for job in sorted(jobs, key=lambda job: job.size_bytes, reverse=True):
                if stopped.is_set() or self._closed:
                    return
                yield job
            after = max((job.index for job in jobs), default=after)
            if not jobs and ended:
                if self._error is not None:
                    raise self._error
                return
            if not jobs:
                self._wait_for_news(news)

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
        return self._tally.plan_complete

    def _search(self) -> None:
        try:
            self._plan_all()
        except BaseException as error:
            self._error = error
        self._ended = True
        self._tell_news()

    def _plan_all(self) -> None:
        batch: list[Planned] = []
        flushed = time.monotonic()
        for found in self._found:
            if found is not None:
                batch.append(self._planned(found))
            late = time.monotonic() - flushed > _BATCH_SECONDS
            if batch and (found is None or late or len(batch) >= _BATCH_FILES):
                self._flush(batch)
                batch, flushed = [], time.monotonic()
            if self._closed:
                return
        self._flush(batch)
        self._journal.end_of_plan()
        self._tally.plan_complete = True

    def _flush(self, batch: list[Planned]) -> None:
        settled = self._journal.plan(batch)
        self._tally.plan(len(batch), sum(item.found.size_bytes for item in batch))
        for entry in settled:
            outcome = entry.outcome
            earlier = outcome.attempts > 0
            self._tally.end(outcome.status, entry.size_bytes, outcome.bytes_out, earlier=earlier)
        self._tell_news()

    def _tell_news(self) -> None:
        with self._news:
            self._news_number += 1
            self._news.notify_all()

    def _wait_for_news(self, since: int) -> None:
        with self._news:
            self._news.wait_for(lambda: self._news_number != since, _LOOK_UP_SECONDS)

    def _planned(self, found: Found) -> Planned:
        target = self._rules.naming.target(found.name)
        self._sweep_once(os.path.dirname(target))  # noqa: PTH120  # for each of 100,000 names
        if found.failure is None:
            found = replace(found, failure=self._obstacle(found.name, target))
        checksum = None
        if self._rules.checksum and found.failure is None:
            checksum = checksum_of(self._folders.source / found.name)
        return Planned(found, target, checksum)

    def _obstacle(self, name: str, target: str) -> Failure | None:
        """Return why a file can't have its output name, if it can't."""
        path, source = self._folders.target / target, self._real_source
        if path.is_relative_to(source) and not self._folders.target.is_relative_to(source):
            sentence = f"its result {path} would lie in the input folder; choose another OUTPUT"
            return Failure(Code.OUTPUT_EXISTS, sentence)
        if self._rules.guard and os.path.lexists(path) and not self._journal.planned_before(name):
            sentence = f"{path} exists, and was not written by this run; --overwrite replaces it"
            return Failure(Code.OUTPUT_EXISTS, sentence)
        return None

    def _sweep_once(self, folder: str) -> None:
        """Remove what dead runs left, folder by folder: that is how a search comes along."""
        if folder != self._swept:
            self._swept = folder
            sweep(self._folders.target / folder)


def checksum_of(path: Path) -> bytes | None:
    """Return the xxh3 digest (128 bits) of a file's content, None if it can't be read."""
    import xxhash

    digest = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError:
        return None
    return digest.digest()
