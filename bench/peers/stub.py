"""A whole run whose workers compute nothing: what one client process can hand out and record.

``python -m bench.peers.stub WORKERS INPUT OUTPUT`` writes what it took into OUTPUT, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from imgbatch import run
from imgbatch.batch.model import Outcome, Status
from imgbatch.batch.tally import Tally
from imgbatch.engines.base import Stop
from imgbatch.engines.local.engine import LocalEngine
from imgbatch.settings import Settings, settings_from
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.process import Ready
from imgbatch.workers.status import WorkerStatus

FOUND = "handed-out.json"


def answer(*arguments: object) -> None:
    """Answer each job at once, as if it were written; a worker process's function."""
    pipe, status = arguments[-2:]
    assert isinstance(pipe, Connection)
    assert isinstance(status, WorkerStatus)
    pipe.send(Ready())
    while (job := pipe.recv()) is not None:
        status.begin("", job.index)
        status.end(0.001)
        pipe.send(Outcome(job.index, Status.WRITTEN, None, 0.001, "", 16, 16, 700))


def _engine(settings: Settings, _ahead: ForkServer | None) -> LocalEngine:
    return LocalEngine(
        settings.procs,
        settings.limits,
        run.OutputPolicy(settings.preserve, overwrite=True, folder=settings.target),
        target="bench.peers.stub:answer",
    )


def main() -> None:
    workers, source, target = sys.argv[1:]
    run._engine = _engine
    settings = settings_from(
        {"source": Path(source), "target": Path(target), "procs": int(workers), "html": False}
    )
    began, cpu_began = time.monotonic(), time.process_time()
    report = run.execute(settings, Tally(), Stop())
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    found = {"images": report.count(Status.WRITTEN), "seconds": seconds, "cpu": cpu_seconds}
    (report.target / FOUND).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
