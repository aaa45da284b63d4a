"""A worker process of a server that computes nothing, and does as it is told.

It starts in a tenth of a second. What it is told to serve says what it does.
"""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection

from imgbatch.server.board import Board
from imgbatch.server.orders import ClientGone, Drain, Ready, Serve, WorkerSettings


def enter(settings: WorkerSettings, pipe: Connection, board: Board) -> None:
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
                board.begin("one image", 1)
                board.end(0.25)
            case Serve(batch="kill"):
                board.begin("kill", 2)
                os.kill(os.getpid(), signal.SIGSEGV)
            case Serve(batch="kill when idle"):
                os._exit(3)
            case Serve(batch="hang"):
                board.begin("hang", 3)
                time.sleep(3600)
            case Serve(batch="grow"):
                ballast.append(os.urandom(64 * 2**20))
                pipe.send(ClientGone("grown"))
