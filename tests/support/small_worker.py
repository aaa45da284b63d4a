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


def secret_for(behaviour: str) -> bytes:
    """Return the secret of a batch for which these workers do as it says."""
    return behaviour.encode().ljust(32)


def main(_settings: ServerSettings, _machine: str, pipe: Connection, status: WorkerStatus) -> None:
    pipe.send(Ready())
    while True:
        order = pipe.recv()
        match order:
            case Drain():
                return
            case Serve(batch, secret) if secret == secret_for("one image"):
                status.begin(batch, 1)
                status.end(0.25)
            case Serve(batch, secret) if secret == secret_for("hang"):
                status.begin(batch, 3)
                time.sleep(3600)
            case Serve(batch, secret) if secret == secret_for("kill"):
                status.begin(batch, 2)
                os.kill(os.getpid(), signal.SIGSEGV)
