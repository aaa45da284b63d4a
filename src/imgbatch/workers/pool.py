"""The worker processes of one program: how many, how long they take, and how they end.

A dead worker is normal: a hostile file of a few hundred bytes can crash a decoder. What it had in
hand is told to the pool's user, and another worker can take its place in some milliseconds.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import Any

from imgbatch.errors import Code
from imgbatch.workers.forkserver import COULD_NOT_FORK, ForkServer
from imgbatch.workers.process import Ready, Start, WorkerError
from imgbatch.workers.status import Figures, WorkerStatus, shared_file

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
"""Between two starts of workers that end before they are ready."""
LONGEST_WAITING_SECONDS = 300.0
_LEAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker ended.

    Parameters
    ----------
    how
        The rest of a sentence about it: "was killed by SIGSEGV".
    code
        The failure of an image that it had in hand: its worker crashed, or it took too long.
    figures
        What it said of itself last, such as the image in hand.
    with_server
        Whether the fork server ended, and all workers with it: that is no image's fault.
    """

    how: str
    code: Code = Code.WORKER_CRASHED
    figures: Figures = Figures()  # noqa: RUF009  # it is immutable
    with_server: bool = False


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process.

    Parameters
    ----------
    number
        The pool's name for it.
    pipe, status
        Our end of its pipe, and the memory that it shares with us.
    given
        What `give` sent it and it has not answered, the first in hand.
    given_seconds
        The monotonic time at which the first of those became the first.
    ready, leaving
        Whether it can work; whether it is to end when it is done with what it was given.
    """

    number: int
    pipe: Connection
    status: WorkerStatus
    given: deque[Any] = field(default_factory=deque)
    given_seconds: float = 0.0
    ready: bool = False
    leaving: bool = False
    overdue_seconds: float = 0.0
    error: str = ""

    @property
    def figures(self) -> Figures:
        """What it says of itself; of an image that it was sent and has not taken up, since when."""
        figures = self.status.read()
        is_sent = self.given and figures.job < 0
        return figures._replace(since_seconds=self.given_seconds) if is_sent else figures

    @property
    def is_busy(self) -> bool:
        """Whether it has something in hand, or was sent it."""
        return self.is_busy_by(self.figures)

    def is_busy_by(self, figures: Figures) -> bool:
        """Whether it had something in hand when it was looked at, or has been sent it."""
        return bool(self.given) or figures.job >= 0

    @property
    def is_free(self) -> bool:
        """Whether it can begin with something at once."""
        return self.ready and not (self.leaving or self.given or self.pipe.closed)

    def send(self, message: object) -> None:
        """Send it a message; if it has just died, its pipe will say so."""
        with suppress(OSError):
            self.pipe.send(message)

    def give(self, task: object) -> None:
        """Send it something to do, which it will answer after what it was given before."""
        if not self.given:
            self.given_seconds = time.monotonic()
        self.given.append(task)
        self.send(task)

    def answered(self) -> Any:
        """Return the task that it has just answered; it takes up the next."""
        self.given_seconds = time.monotonic()
        return self.given.popleft()


@dataclass(eq=False)
class WorkerPool:
    """Worker processes that all run the same function.

    Not thread-safe, and without a thread of its own: things happen in `listen` and `look_after`.

    Parameters
    ----------
    server
        What forks them; the pool closes it.
    target, arguments
        What each runs, as ``module:function``, which only workers import; and with what, followed
        by its pipe and its `WorkerStatus`. It sends `Ready` when it can work, and returns when it
        is sent `farewell` or its pipe ends.
    time_limit_seconds
        How long one may take for an image before it is killed.
    idle_memory_bytes
        One that holds more when it is done with an image is to leave.
    memory_bytes
        How far the address space of each may grow; None: without a limit.
    farewell
        The message that asks a worker to leave.
    logs
        Whether what they print to standard error is shown.
    """

    server: ForkServer
    target: str
    arguments: tuple[Any, ...] = ()
    _: KW_ONLY
    time_limit_seconds: float = math.inf
    idle_memory_bytes: float = math.inf
    memory_bytes: int | None = None
    farewell: object = None
    logs: bool = False

    def __post_init__(self) -> None:
        self._numbers = 0
        self._start_after_seconds = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._gone_images = 0
        self._gone_busy_seconds = 0.0
        self._gone_histograms: list[list[float]] = []
        self.crashes = 0
        """Workers that ended though they were not to leave."""
        self.workers: list[Worker] = []
        self.failed_starts = 0
        self.problem = ""
        """Why the last worker that did not become ready did not."""
        self.selector = selectors.DefaultSelector()
        """Wakes `listen`; others may register what is to wake it too, with None as data."""
        self.selector.register(self.server.channel, selectors.EVENT_READ, self.server)

    @property
    def ready(self) -> int:
        """How many workers can work."""
        return sum(worker.ready for worker in self.workers)

    @property
    def busy(self) -> int:
        """How many workers have an image in hand."""
        return sum(worker.is_busy for worker in self.workers)

    @property
    def images(self) -> int:
        """How many images were done, by those that are gone as well."""
        return self._gone_images + sum(worker.figures.images for worker in self.workers)

    @property
    def busy_seconds(self) -> float:
        """How long they took together."""
        return self._gone_busy_seconds + sum(it.figures.busy_seconds for it in self.workers)

    @property
    def histograms(self) -> list[list[float]]:
        """How long things took, by those that are gone as well; see `WorkerStatus.histograms`."""
        return _sums(self._gone_histograms, *(worker.status.histograms for worker in self.workers))

    def fill(self, count: int) -> list[Worker]:
        """Start workers until there are so many that stay, and return those.

        After a start that failed this waits a while, ever longer: `failed_starts` and `problem`
        say so meanwhile.
        """
        started: list[Worker] = []
        lacking = count - sum(not worker.leaving for worker in self.workers)
        while len(started) < lacking and time.monotonic() >= self._start_after_seconds:
            try:
                started.append(self._start_one())
            except OSError as error:
                self._note_failed_start(f"could not be started: {error.strerror}")
        return started

    def _start_one(self) -> Worker:
        if self.server.channel.fileno() < 0:
            self.server = ForkServer(self.server.preload)
            self.selector.register(self.server.channel, selectors.EVENT_READ, self.server)
        pipe, theirs = Pipe()
        with theirs, shared_file() as file:
            status = WorkerStatus(file.fileno())
            self._numbers += 1
            self.server.fork(self._numbers, theirs.fileno(), file.fileno())
        worker = Worker(self._numbers, pipe, status)
        self.workers.append(worker)
        self.selector.register(pipe, selectors.EVENT_READ, worker)
        worker.send(Start(self.target, self.arguments, self.memory_bytes, self.logs))
        return worker

    def listen(self, timeout_seconds: float) -> Iterator[tuple[Worker, Any]]:
        """Wait for something to happen; yield what workers said, and `WorkerExit` as their last."""
        for key, _ in self.selector.select(timeout_seconds):
            if isinstance(key.data, ForkServer):
                yield from self._hear_of_exit()
            elif key.data in self.workers:
                yield from self._hear(key.data)

    def _hear(self, worker: Worker) -> Iterator[tuple[Worker, Any]]:
        try:
            message = worker.pipe.recv()
        except Exception:  # it is dead, or sends what is no message
            # The server reports how it ended; if it has only closed its pipe, it ends now.
            self.selector.unregister(worker.pipe)
            worker.pipe.close()
            self.server.kill(worker.number)
            return
        if isinstance(message, WorkerError):
            worker.error = message.sentence
            return
        if isinstance(message, Ready):
            worker.ready = True
            self.failed_starts = 0
            self._pause_seconds = FIRST_PAUSE_SECONDS
        yield worker, message

    def _hear_of_exit(self) -> Iterator[tuple[Worker, Any]]:
        exited = self.server.next_exit()
        if exited is None:
            self.selector.unregister(self.server.channel)
            self.server.close()
        for worker in list(self.workers):
            if exited is None or worker.number == exited[0]:
                while not worker.pipe.closed:  # what it had still said
                    yield from self._hear(worker)
                yield worker, self._remove(worker, None if exited is None else exited[1])

    def _remove(self, worker: Worker, exit_code: int | None) -> WorkerExit:
        self._gone_histograms = _sums(self._gone_histograms, worker.status.histograms)
        self.crashes += not worker.leaving
        self.workers.remove(worker)
        figures = worker.figures
        self._gone_images += figures.images
        self._gone_busy_seconds += figures.busy_seconds
        how = f"ended with {worker.error}" if worker.error else describe_exit(exit_code)
        if worker.overdue_seconds:
            how = f"was killed after {worker.overdue_seconds:.0f} s on one image"
            return WorkerExit(how, Code.IMAGE_TIMEOUT, figures)
        if not (worker.ready or worker.leaving):
            self._note_failed_start(how)
        return WorkerExit(how, figures=figures, with_server=exit_code is None)

    def _note_failed_start(self, problem: str) -> None:
        self.failed_starts += 1
        self.problem = problem
        now = time.monotonic()
        if now >= self._start_after_seconds:  # once for all that were started together
            self._start_after_seconds = now + self._pause_seconds
            self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def look_after(self) -> None:
        """Kill workers that take too long; have those leave that have grown too large.

        What a worker waits for kernels and stores is not counted as its image's time.
        """
        now = time.monotonic()
        for worker in self.workers:
            figures = worker.figures
            # Both by one look: by a second one it may just have taken up an image, since when the
            # first does not know.
            busy_seconds = now - figures.since_seconds if worker.is_busy_by(figures) else 0.0
            limit = LONGEST_WAITING_SECONDS if figures.waits_for else self.time_limit_seconds
            if busy_seconds > limit:
                worker.overdue_seconds = busy_seconds
                self.server.kill(worker.number)
            elif figures.resident_bytes > self.idle_memory_bytes and not worker.leaving:
                self.dismiss(worker)

    def dismiss(self, worker: Worker) -> None:
        """Have a worker leave when it is done with what it was given."""
        worker.leaving = True
        worker.send(self.farewell)

    def close(self) -> None:
        """Let idle workers leave, and kill the others and the fork server."""
        for worker in self.workers:
            if worker.ready and not worker.is_busy:
                self.dismiss(worker)
            else:
                self.server.kill(worker.number)
        deadline = time.monotonic() + _LEAVE_SECONDS
        while self.workers and (left_seconds := deadline - time.monotonic()) > 0:
            for _ in self.listen(left_seconds):
                pass
        self.server.close()
        while self.workers:
            self.workers.pop().pipe.close()
        self.selector.close()


def _sums(*histograms: list[list[float]]) -> list[list[float]]:
    parts = filter(None, histograms)
    return [
        [sum(counts) for counts in zip(*same, strict=True)] for same in zip(*parts, strict=True)
    ]


def describe_exit(exit_code: int | None) -> str:
    """Say in words how a process ended: by which signal, or with which code."""
    if exit_code is None:
        return "was killed"
    if exit_code >= COULD_NOT_FORK:
        return f"could not be started: {os.strerror(exit_code - COULD_NOT_FORK)}"
    names = {int(item): item.name for item in signal.Signals}
    if exit_code < 0:
        return f"was killed by {names.get(-exit_code, f'signal {-exit_code}')}"
    return f"ended with exit code {exit_code}"
