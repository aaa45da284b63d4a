"""A worker process that computes nothing, and does as it is told in words."""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.connection import Connection

from imgbatch.workers.process import Ready
from imgbatch.workers.status import WorkerStatus
from imgbatch_kernels import compiled

BALLAST = []


def main(pipe: Connection, status: WorkerStatus) -> None:
    pipe.send(Ready())
    while (word := pipe.recv()) is not None:
        if word.startswith("end: "):
            end(word.removeprefix("end: "), pipe, status)
        else:
            pipe.send(work(word, status))


def work(word: str, status: WorkerStatus) -> object:
    match word:
        case "one image":
            status.begin("batch", 1)
            status.end(0.25)
            status.observe(3, 0.25)
        case "grow":
            BALLAST.append(os.urandom(64 * 2**20))
        case "compile":
            status.begin("batch", 4)
            compiled.on_compiling(True)
            time.sleep(0.5)
            compiled.on_compiling(False)
            status.end(0.5)
        case "take all memory":
            try:
                BALLAST.append(bytes(2**31))
            except MemoryError:
                return "no memory"
        case "look around":
            return (os.getpid(), os.getpgid(0), sys.path)
    return word


def end(how: str, pipe: Connection, status: WorkerStatus) -> None:
    match how:
        case "with an image":
            status.begin("batch", 2)
            os.kill(os.getpid(), signal.SIGSEGV)
        case "when idle":
            os._exit(3)
        case "after an answer":
            pipe.send("the last")
            os.kill(os.getpid(), signal.SIGKILL)
        case "with an exception":
            raise LookupError("nothing found")
        case "never":
            status.begin("batch", 3)
            time.sleep(3600)
        case "never, and say no more":
            pipe.close()
            time.sleep(3600)


def never_ready(_pipe: Connection, _status: WorkerStatus) -> None:
    os._exit(7)
