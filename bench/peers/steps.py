"""What a run does beside its images' own work, step by step, each taken on its own.

``python -m bench.peers.steps INPUT OUTPUT`` writes the seconds of each step into OUTPUT, as JSON:
of those that each run takes once, and of those that each file takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from imgbatch.batch.journal import SUFFIX, Journal
from imgbatch.batch.journal_tables import Planned
from imgbatch.batch.model import Job, MachineUse, Outcome, Status
from imgbatch.batch.page.view import page_template, write_page
from imgbatch.batch.report import Report
from imgbatch.batch.scan import Found, Selection, scan
from imgbatch.engines.local import PRELOAD
from imgbatch.recipe import Recipe
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import WorkerPool

FOUND = "steps.json"
_TIMES = 7
_BATCH_FILES = 256
_RUN = "import imgbatch.cli.client, imgbatch.cli.client_run, imgbatch.run, imgbatch.engines.local"


def seconds_of(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def process(code: str) -> float:
    """Return how long a whole Python process takes."""
    return median(
        seconds_of(lambda: subprocess.run([sys.executable, "-c", code], check=True))
        for _ in range(_TIMES)
    )


def once() -> Iterator[tuple[str, float]]:
    """Yield the steps that each run takes once, in seconds."""
    interpreter = process("pass")
    yield "the interpreter's start and end", interpreter
    yield "imports of the command and of a run", process(_RUN + ".engine") - interpreter
    began = time.perf_counter()
    pool = started()
    yield "fork server and first worker, beside those imports", time.perf_counter() - began
    yield "the workers' end", seconds_of(pool.close)
    yield "the page's template, while workers start", seconds_of(page_template)


def started() -> WorkerPool:
    """Return a pool of one worker that computes nothing, and is ready."""
    pool = WorkerPool(ForkServer(PRELOAD), "bench.peers.stub:answer")
    pool.fill(1)
    while not (pool.ready or pool.failed_starts):
        list(pool.listen(1.0))
    assert pool.ready, pool.problem
    return pool


def hand_over(jobs: list[Job]) -> None:
    """Give jobs to a worker that computes nothing, each when the one before was answered."""
    with closing(started()) as pool:
        (worker,) = pool.workers
        for job in jobs:
            worker.give(job)
            while worker.given:
                for _, message in pool.listen(1.0):
                    if isinstance(message, Outcome):
                        worker.answered()


def each(source: Path, target: Path) -> Iterator[tuple[str, float]]:
    """Yield the steps that each file takes, in seconds for all of them."""
    found: list[Found] = []
    yield "scan", seconds_of(lambda: found.extend(scan(source, Selection())))
    journal = Journal.create(target / f"steps{SUFFIX}", {})
    planned = [Planned(it) for it in found]
    batches = [planned[at : at + _BATCH_FILES] for at in range(0, len(found), _BATCH_FILES)]
    yield "plan, into the journal", seconds_of(lambda: list(map(journal.plan, batches)))
    rows = journal.open_files(-1, len(found))
    jobs = [Job(row["id"], source, target, 1, 1, 0o644) for row in rows]
    idle = seconds_of(lambda: hand_over([]))
    yield "hand over to a worker, and its answer", seconds_of(lambda: hand_over(jobs)) - idle
    outcomes = [Outcome(job.index, Status.WRITTEN, None, 0.01, "m", 640, 480, 9) for job in jobs]
    yield (
        "outcome, into the journal",
        seconds_of(lambda: [journal.finish(it, 1) for it in outcomes]),
    )
    journal.note_machines([MachineUse("m", "m", 1)])
    report = Report(
        target / "report.json", source, target, Recipe(), "local", "0", "2026-01-01T00:00:00+00:00",
        1.0, False, None, journal.totals(),
    )  # fmt: skip
    yield "report: sums", seconds_of(journal.totals)
    yield "report: JSON and CSV", seconds_of(lambda: report.write(journal.files()))
    yield "report: page", seconds_of(lambda: write_page(report, journal))
    journal.close()


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    files = sum(1 for _ in scan(source, Selection()))
    found = {f"a run/{name}": seconds for name, seconds in once()}
    found |= {f"a file/{name}": seconds / files for name, seconds in each(source, target)}
    (target / FOUND).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
