"""The worker processes of one machine: started, watched, replaced.

A dead worker is normal: a hostile file of a few hundred bytes can crash a decoder. Workers are
spawned, never forked: neither OpenCV nor Numba survives a fork of a process with threads.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from imgbatch.errors import Code
from imgbatch.processes import (
    describe_exit,
    resident_bytes,
    spared_from_interrupts,
    without_working_directory,
)
from imgbatch.server.board import Board, Held
from imgbatch.server.orders import Drain, Order, Ready, Word, WorkerSettings

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
"""Between two starts of a worker that dies before it is ready."""

RATE_SECONDS = 10.0
"""The time over which the rate of images is taken."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A worker has died; with which image in its hands, and how."""

    held: Held | None
    code: Code
    sentence: str


@dataclass(slots=True, eq=False)
class WorkerProcess:
    """One process of the crew."""

    process: BaseProcess
    pipe: Connection
    board: Board
    ready: bool = False
    leaving: bool = False
    timed_out_seconds: float = 0.0


@dataclass(slots=True)
class Tally:
    """What the crew has done since the server was started."""

    images: int = 0
    busy_seconds: float = 0.0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, images: int, busy_seconds: float, now_seconds: float) -> None:
        """Take note of the sums at a time."""
        self.images, self.busy_seconds = images, busy_seconds
        self._seen.append((now_seconds, images))
        # One is kept from before the window: what was done since then was done within it.
        while len(self._seen) > 1 and self._seen[1][0] <= now_seconds - RATE_SECONDS:
            self._seen.popleft()

    @property
    def images_per_second(self) -> float:
        """The rate over the last few seconds."""
        return (self.images - self._seen[0][1]) / RATE_SECONDS if self._seen else 0.0


class Crew:
    """All workers of a machine.

    Parameters
    ----------
    count
        How many there are to be at any time.
    settings
        What each is started with.
    image_timeout_seconds
        How long an image may take before its worker is killed.
    memory_bytes
        A worker that holds more than this with no image in its hands is replaced.
    """

    def __init__(
        self,
        count: int,
        settings: WorkerSettings,
        image_timeout_seconds: float,
        memory_bytes: int,
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._count = count
        self._settings = settings
        self._image_timeout_seconds = image_timeout_seconds
        self._memory_bytes = memory_bytes
        self._workers: list[WorkerProcess] = []
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._start_after_seconds = 0.0
        self._draining = False
        self._gone_images = 0
        self._gone_busy_seconds = 0.0
        self.tally = Tally()

    @property
    def busy(self) -> int:
        """How many workers hold an image."""
        return sum(worker.board.held is not None for worker in self._workers)

    @property
    def ready(self) -> int:
        """How many workers can compute."""
        return sum(worker.ready for worker in self._workers)

    @property
    def is_empty(self) -> bool:
        """Whether all have ended."""
        return not self._workers

    def fill(self, standing_orders: list[Order]) -> None:
        """Start workers until there are as many as there should be."""
        now = time.monotonic()
        while not self._draining and len(self._staying()) < self._count:
            if now < self._start_after_seconds:
                return
            worker = self._start_one()
            for order in standing_orders:
                self._tell(worker, order)

    def order(self, order: Order) -> None:
        """Tell all workers something."""
        for worker in self._workers:
            self._tell(worker, order)

    def drain(self) -> None:
        """Have every worker finish what it holds and end."""
        self._draining = True
        self.order(Drain())

    def kill(self) -> None:
        """End every worker at once."""
        self._draining = True
        for worker in self._workers:
            worker.process.kill()

    def watch(self, timeout_seconds: float, wake: Connection) -> Iterator[Word | Loss]:
        """Wait for something to happen, and yield what the workers said and which of them died."""
        handles: dict[Any, WorkerProcess] = {}
        for worker in self._workers:
            handles[worker.pipe] = handles[worker.process.sentinel] = worker
        happened = wait([*handles, wake], timeout_seconds)
        while wake.poll():
            wake.recv_bytes()
        for worker in {
            id(handles[item]): handles[item] for item in happened if item in handles
        }.values():
            yield from self._listen(worker)
            if not worker.process.is_alive():
                yield from self._listen(worker)
                yield from self._bury(worker)

    def look_after(self) -> None:
        """Kill workers whose image takes too long; let go of those that have grown too large."""
        now = time.monotonic()
        self._sum_up(now)
        for worker in self._workers:
            held = worker.board.held
            if held is not None and now - held.since_seconds > self._image_timeout_seconds:
                worker.timed_out_seconds = now - held.since_seconds
                worker.process.kill()
            elif held is None and worker.ready and not worker.leaving:
                self._replace_if_too_large(worker)

    def _sum_up(self, now_seconds: float) -> None:
        boards = [worker.board for worker in self._workers]
        self.tally.note(
            self._gone_images + sum(board.images for board in boards),
            self._gone_busy_seconds + sum(board.busy_seconds for board in boards),
            now_seconds,
        )

    def _replace_if_too_large(self, worker: WorkerProcess) -> None:
        resident = resident_bytes(worker.process.pid or 0)
        if resident > self._memory_bytes:
            log.info("a worker holds %d MB when idle; replacing it", resident >> 20)
            worker.leaving = True
            self._tell(worker, Drain())

    def _staying(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers if not worker.leaving]

    def _start_one(self) -> WorkerProcess:
        ours, theirs = self._context.Pipe()
        board = Board(self._context)
        process = self._context.Process(
            target=_enter, args=(self._settings, theirs, board), name="imgbatch-worker", daemon=True
        )
        with spared_from_interrupts(), without_working_directory():
            process.start()
        theirs.close()
        worker = WorkerProcess(process, ours, board)
        self._workers.append(worker)
        return worker

    def _tell(self, worker: WorkerProcess, order: Order) -> None:
        try:
            worker.pipe.send(order)
        except OSError:
            log.debug("a worker was gone before it could be told %s", type(order).__name__)

    def _listen(self, worker: WorkerProcess) -> Iterator[Word]:
        try:
            while worker.pipe.poll():
                word: Word = worker.pipe.recv()
                if isinstance(word, Ready):
                    worker.ready = True
                    self._pause_seconds = FIRST_PAUSE_SECONDS
                yield word
        except (EOFError, OSError):
            return

    def _bury(self, worker: WorkerProcess) -> Iterator[Loss]:
        self._workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        self._gone_images += worker.board.images
        self._gone_busy_seconds += worker.board.busy_seconds
        self._sum_up(time.monotonic())
        if worker.leaving or self._draining:
            return
        loss = _loss_of(worker)
        log.warning("%s; starting another", loss.sentence)
        if not worker.ready:
            self._start_after_seconds = time.monotonic() + self._pause_seconds
            self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        yield loss


def _loss_of(worker: WorkerProcess) -> Loss:
    if worker.timed_out_seconds:
        sentence = f"a worker was killed after {worker.timed_out_seconds:.0f} s on one image"
        return Loss(worker.board.held, Code.IMAGE_TIMEOUT, sentence)
    sentence = f"a worker {describe_exit(worker.process.exitcode)}"
    return Loss(worker.board.held, Code.WORKER_CRASHED, sentence)


def _enter(settings: WorkerSettings, pipe: Connection, board: Board) -> None:
    """Begin as a worker process: numba and the codecs are first imported here."""
    from imgbatch.processes import log_to_stderr, settle_in

    settle_in()
    log_to_stderr(verbose=False)
    from imgbatch.server import worker

    worker.main(settings, pipe, board)
