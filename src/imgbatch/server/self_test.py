"""What a machine proves before it takes work: that its kernels and codecs do, and which bits."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgbatch.errors import Code, EngineError
from imgbatch.workers import CODECS
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import WorkerExit, WorkerPool

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from imgbatch.workers.status import WorkerStatus

log = logging.getLogger(__name__)

LONGEST_SECONDS = 300.0
_LOOK_UP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class SelfTest:
    """A pipeline's fingerprint, and how long it took to find out."""

    digest: str
    components: dict[str, str]
    seconds: float


def run_self_test() -> SelfTest:
    """Compile or load everything that workers need, in a process of its own.

    Raises
    ------
    EngineError
        If that process fails, or takes five minutes.
    """
    began = time.monotonic()
    pool = WorkerPool(ForkServer(CODECS), f"{__name__}:main", logs=True)
    try:
        pool.fill(1)
        told = False
        while time.monotonic() - began < LONGEST_SECONDS:
            for _, message in pool.listen(_LOOK_UP_SECONDS):
                if isinstance(message, WorkerExit):
                    sentence = f"the process that compiles the kernels {message.how}"
                    raise EngineError(Code.ENGINE_FAILED, sentence)
                digest, components = message
                return SelfTest(digest, components, time.monotonic() - began)
            if not told and any(worker.figures.waits_for for worker in pool.workers):
                told = True
                log.info("compiling the kernels for this processor, once")
    finally:
        pool.close()
    raise EngineError(Code.ENGINE_FAILED, "the kernels could not be compiled in time")


def main(pipe: Connection, _status: WorkerStatus) -> None:
    """Be that process."""
    from imgbatch.fingerprint import warm_up

    fingerprint = warm_up()
    pipe.send((fingerprint.digest, dict(fingerprint.versions)))
