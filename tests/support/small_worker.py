"""A worker process of a server that computes nothing, and does as it is told.

It starts in a tenth of a second. What it is told to serve says what it does.
"""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection

from imgbatch.server.orders import Begun, ClientGone, Drain, Ended, Ready, Serve, WorkerSettings


def enter(settings: WorkerSettings, pipe: Connection) -> None:
    if settings.machine == "never ready":
        os._exit(7)
    pipe.send(Ready())
    ballast = []
    while True:
        order = pipe.recv()
        match order:
            case Drain():
                return
            case Serve(batch="one image"):
                pipe.send(Begun("one image", 1))
                pipe.send(Ended(0.25))
            case Serve(batch="kill"):
                pipe.send(Begun("kill", 2))
                os.kill(os.getpid(), signal.SIGSEGV)
            case Serve(batch="kill when idle"):
                os._exit(3)
            case Serve(batch="hang"):
                pipe.send(Begun("hang", 3))
                time.sleep(3600)
            case Serve(batch="grow"):
                ballast.append(os.urandom(64 * 2**20))
                pipe.send(ClientGone("grown"))
