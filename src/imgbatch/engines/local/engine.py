"""The local engine: which of this machine's worker processes computes what, and what if one dies.

The rules:

- Workers are started as images wait for one, so two images never start sixteen processes.
- An image goes to a worker that is ready and free. Behind a small one, of a few milliseconds, a
  second is sent ahead, so that the worker does not idle between the two; but not near the end,
  when fewer wait here than there are workers, and another may be free sooner.
- A worker computes in the order in which it was given images. So when it dies or takes too long,
  the first it holds is charged with an attempt; the others go back into the line.
- A charged image is tried again alone, on another worker, three times in all.
"""

from __future__ import annotations

import socket
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from selectors import EVENT_READ

from imgbatch.batch.model import Failure, Job, MachineUse, Outcome, Status
from imgbatch.batch.write import OutputPolicy, temporary_path
from imgbatch.engines.base import JobSource, Listener, Stop
from imgbatch.engines.local import PRELOAD, PRELOAD_THUMBNAILS, WORKER
from imgbatch.errors import MAX_ATTEMPTS, Code, EngineError
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import Worker, WorkerExit, WorkerPool
from imgbatch.workers.process import worst_case_bytes

_SMALL_BYTES = 256 * 1024
_IDLE_MEMORY_BYTES = 1 << 30
_LOOK_UP_SECONDS = 0.1
_SLOW_START_SECONDS = 3.0


@dataclass(eq=False)
class LocalEngine:
    """Runs a batch in worker processes of this machine.

    Parameters
    ----------
    procs
        Worker processes at most.
    limits
        What is too large to be processed.
    policy
        How results are put into the output folder.
    image_timeout_seconds
        How long one image may take before its worker is killed.
    target
        What the worker processes run, as ``module:function``.
    server
        A fork server that was started already.
    thumbnails
        Whether there will be thumbnails to make.
    """

    name = "local"

    procs: int
    limits: Limits
    policy: OutputPolicy
    image_timeout_seconds: float = 120.0
    target: str = WORKER
    server: ForkServer | None = None
    thumbnails: bool = False

    def run(self, jobs: JobSource, recipe: Recipe, listener: Listener, stop: Stop) -> None:
        """Process every job; see `imgbatch.engines.base.Engine`."""
        server, self.server = self.server, None
        try:
            server = server or ForkServer(PRELOAD_THUMBNAILS if self.thumbnails else PRELOAD)
        except OSError as error:
            raise _unstartable(str(error.strerror)) from error
        pool = WorkerPool(
            server,
            self.target,
            (recipe, self.limits, self.policy),
            time_limit_seconds=self.image_timeout_seconds,
            idle_memory_bytes=_IDLE_MEMORY_BYTES,
            memory_bytes=worst_case_bytes(self.limits),
        )
        scheduler = Scheduler(pool, self.procs, self.image_timeout_seconds, jobs, listener)
        try:
            scheduler.work(stop)
        finally:
            scheduler.end()


@dataclass(slots=True)
class Scheduler:
    """One run of the engine: the workers and the images that wait for one."""

    pool: WorkerPool
    procs: int
    image_timeout_seconds: float
    jobs: JobSource
    listener: Listener
    waiting: deque[Job] = field(default_factory=deque)
    retries: deque[Job] = field(default_factory=deque)
    crashes: Counter[int] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)
    told: str | None = None

    def work(self, stop: Stop) -> None:
        """Work until every image has ended, or `stop`."""
        self.pool.selector.register(self.jobs.wake, EVENT_READ, None)
        while not stop.now.is_set():
            if stop.gently.is_set():
                self.waiting.clear()
                self.retries.clear()
            else:
                # For each worker one to begin, one to send ahead, and one that stays in the line.
                lacking = 3 * self.procs - len(self.waiting)
                self.waiting.extend(self.jobs.take(max(lacking, 0)))
            held = any(worker.given for worker in self.pool.workers)
            if stop.gently.is_set() or self.jobs.is_exhausted:
                if not (held or self.waiting or self.retries):
                    return
                with suppress(KeyError):  # its news are not read any more
                    self.pool.selector.unregister(self.jobs.wake)
            self._start_workers()
            self._assign()
            for worker, message in self.pool.listen(_LOOK_UP_SECONDS):
                self._handle(worker, message)
            self.pool.look_after()
            self._tell_what_is_waited_for()

    def end(self) -> None:
        """End the workers, and remove what those that were killed were writing."""
        workers = list(self.pool.workers)
        self.pool.close()
        for worker in workers:
            _remove_temporary_files(worker)

    def _start_workers(self) -> None:
        """Start as many workers as there are images for which none is free or on its way."""
        staying = [worker for worker in self.pool.workers if not worker.leaving]
        coming = sum(worker.is_free or not worker.ready for worker in staying)
        lacking = len(self.waiting) + len(self.retries) - coming
        if lacking > 0 and self.pool.fill(min(len(staying) + lacking, self.procs)):
            workers = len(self.pool.workers)
            self.listener.machines([MachineUse(_host(), _host(), workers)])
        if self.pool.failed_starts >= MAX_ATTEMPTS and not self.pool.ready:
            raise _unstartable(self.pool.problem)

    def _assign(self) -> None:
        """Give the images that wait to the workers that can take one."""
        for worker in self.pool.workers:
            if worker.is_free and self.retries:
                worker.give(self.retries.popleft())
            elif worker.is_free and self.waiting:
                worker.give(self.waiting.popleft())
        for worker in self.pool.workers:
            if len(self.waiting) <= len(self.pool.workers):
                return
            if len(worker.given) == 1 and not worker.leaving:
                job: Job = worker.given[0]
                if job.size_bytes <= _SMALL_BYTES and not job.may_be_written:
                    worker.give(self.waiting.popleft())

    def _handle(self, worker: Worker, message: object) -> None:
        match message:
            case Outcome():
                worker.answered()
                attempts = self.crashes.pop(message.index, 0) + 1
                self.listener.finished(replace(message, machine=_host(), attempts=attempts))
            case EngineError():
                worker.answered()
                raise message
            case WorkerExit():
                self._handle_exit(worker, message)

    def _handle_exit(self, worker: Worker, exited: WorkerExit) -> None:
        _remove_temporary_files(worker)
        if not worker.given:
            return
        job: Job = worker.answered()
        self.waiting.extendleft(reversed(worker.given))
        self.crashes[job.index] += not exited.with_server
        attempts = self.crashes[job.index]
        if attempts < MAX_ATTEMPTS:
            self.retries.append(replace(job, may_be_written=True))
            return
        how, hint = f"the process that computed it {exited.how}", ""
        if exited.code is Code.IMAGE_TIMEOUT:
            how = f"it took longer than {self.image_timeout_seconds:g} s"
            hint = "; --image-timeout allows more"
        failure = Failure(exited.code, f"{how}, on each of {attempts} workers{hint}")
        outcome = Outcome(job.index, Status.FAILED, failure, machine=_host(), attempts=attempts)
        self.listener.finished(outcome)

    def _tell_what_is_waited_for(self) -> None:
        """Say why nothing moves, or that it moves again, when that has changed."""
        busy = [worker for worker in self.pool.workers if worker.given]
        late = time.monotonic() - self.began > _SLOW_START_SECONDS
        why = None
        if busy and all(worker.figures.waits_for for worker in busy):
            why = busy[0].figures.waits_for
        elif self.pool.workers and late and not self.pool.ready:
            why = "the first worker process is starting"
        if why != self.told:
            self.told = why
            self.listener.waiting(why)


def _remove_temporary_files(worker: Worker) -> None:
    for job in worker.given:
        if isinstance(job.target, Path):  # a store shows nothing that is not complete
            with suppress(OSError):
                temporary_path(job, worker.figures.pid).unlink()


def _unstartable(problem: str) -> EngineError:
    return EngineError(Code.ENGINE_FAILED, f"no worker process could be started: {problem}")


@cache
def _host() -> str:
    return socket.gethostname()
