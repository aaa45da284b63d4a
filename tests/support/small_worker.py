"""A worker process of a server that computes nothing, and does as it is told.

It starts in a tenth of a second. What it is told to serve says what it does.
"""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection

from imgbatch.server.messages import Drain, Serve, ServerSettings
from imgbatch.workers.process import Ready
from imgbatch.workers.status import WorkerStatus


def main(_settings: ServerSettings, _machine: str, pipe: Connection, status: WorkerStatus) -> None:
    pipe.send(Ready())
    while True:
        order = pipe.recv()
        match order:
            case Drain():
                return
            case Serve(batch="one image"):
                status.begin("one image", 1)
                status.end(0.25)
            case Serve(batch="kill"):
                status.begin("kill", 2)
                os.kill(os.getpid(), signal.SIGSEGV)
            case Serve(batch="kill when idle"):
                os._exit(3)
            case Serve(batch="hang"):
                status.begin("hang", 3)
                time.sleep(3600)
