"""The local engine: who of this machine's worker processes computes what, and what if one dies.

The rules:

- Workers are started as images wait for one, so two images never start sixteen processes. Only the
  first may have been started before anybody knew whether there are images.
- An image goes to a worker that is ready and free. Behind a small one, of a few milliseconds, a
  second is sent ahead, so that the worker does not idle between the two; but not near the end,
  when fewer wait here than there are workers, and somebody else may be free sooner.
- A worker computes in the order in which it was given images. So when it dies or takes too long,
  the first it holds is the suspect; the others go back into the line, uncharged.
- A suspect is tried again alone, on another worker, three times in all.
- A worker that holds too much memory after three images in a row leaves when it is free.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial

from imgbatch.batch.model import Failure, Job, MachineUse, Outcome, Status
from imgbatch.batch.write import OutputPolicy
from imgbatch.engines.base import Listener, Stop
from imgbatch.engines.local.crew import Attempt, Worker, brief
from imgbatch.engines.local.feed import Feed
from imgbatch.engines.local.launch import WORKER_MODULE, Launched, launch
from imgbatch.engines.local.messages import Done, Ready, Setup, Stuck
from imgbatch.errors import Code, EngineError, OutputError
from imgbatch.images.limits import Limits
from imgbatch.processes import describe_exit
from imgbatch.recipe import Recipe

MAX_ATTEMPTS = 3
_AHEAD = 2
_SMALL_BYTES = 256 * 1024
_HEAVY_BYTES = 1 << 30
_HEAVY_IMAGES = 3
_FAILED_STARTS = 3
_LOOK_UP_SECONDS = 0.1
_SLOW_START_SECONDS = 3.0


class LocalEngine:
    """Runs a batch in worker processes of this machine.

    Parameters
    ----------
    procs
        Worker processes at most.
    limits
        What is too large to be processed.
    delivery
        How results are put into the output folder.
    image_timeout_seconds
        How long one image may take before its worker is killed.
    worker_module
        What the worker processes run.
    ahead
        A process that was started already, to be the first of them.
    """

    name = "local"

    def __init__(
        self,
        procs: int,
        limits: Limits,
        delivery: OutputPolicy,
        image_timeout_seconds: float = 120.0,
        worker_module: str = WORKER_MODULE,
        ahead: Launched | None = None,
    ) -> None:
        self._worker_module = worker_module
        self._ahead = ahead
        self._procs = procs
        self._limits = limits
        self._delivery = delivery
        self._image_timeout_seconds = image_timeout_seconds

    def run(self, jobs: Iterable[Job], recipe: Recipe, listener: Listener, stop: Stop) -> None:
        """Process every job; see `imgbatch.engines.base.Engine`."""
        setup = Setup(recipe, self._limits, self._delivery)
        feed = Feed(jobs, room=_AHEAD * self._procs + 1)
        shift = _Shift(
            partial(self._start_worker, setup),
            self._procs,
            self._image_timeout_seconds,
            feed,
            listener,
        )
        try:
            shift.work(stop)
        finally:
            shift.end()
            feed.end()

    def _start_worker(self, setup: Setup) -> Worker:
        ahead, self._ahead = self._ahead, None
        return brief(ahead or launch(self._worker_module), setup)


@dataclass(slots=True)
class _Shift:
    """One run of the engine: the workers and the images that wait for one."""

    start: Callable[[], Worker]
    procs: int
    image_timeout_seconds: float
    feed: Feed
    listener: Listener
    workers: list[Worker] = field(default_factory=list)
    waiting: deque[Attempt] = field(default_factory=deque)
    suspects: deque[Attempt] = field(default_factory=deque)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    failed_starts: int = 0
    started: float = field(default_factory=time.monotonic)
    told_of_start: bool = False

    def work(self, stop: Stop) -> None:
        """Work until every image has ended, or `stop`."""
        self.selector.register(self.feed.wake, selectors.EVENT_READ)
        while not stop.now.is_set():
            if stop.gently.is_set():
                self._draw_no_more()
            self._draw()
            self._start_workers()
            self._assign()
            if self._is_done():
                return
            self._listen()
            self._end_late_workers()
            self._tell_of_slow_start()

    def end(self) -> None:
        """Let idle workers leave, kill the others, and remove what those were writing."""
        busy = [worker for worker in self.workers if worker.attempts or not worker.ready]
        for worker in busy:
            worker.end()
        idle = [worker for worker in self.workers if worker not in busy]
        for worker in idle:
            with suppress(OSError):
                worker.channel.shutdown(socket.SHUT_RDWR)  # all at once, then wait for each
        for worker in idle:
            worker.leave()
        self.selector.close()

    def _is_done(self) -> bool:
        held = any(worker.attempts for worker in self.workers)
        return self.feed.exhausted and not (held or self.waiting or self.suspects)

    def _draw_no_more(self) -> None:
        self.feed.close()
        while self.feed.take() is not None:
            pass
        self.waiting.clear()
        self.suspects.clear()

    def _draw(self) -> None:
        while len(self.waiting) < _AHEAD * self.procs and (job := self.feed.take()) is not None:
            self.waiting.append(Attempt(job))

    def _start_workers(self) -> None:
        """Start as many workers as there are images for which none is free or on its way."""
        if len(self.workers) >= self.procs:
            return
        coming = sum(worker.idle or not worker.ready for worker in self.workers)
        lacking = len(self.waiting) + len(self.suspects) - coming
        for _ in range(min(lacking, self.procs - len(self.workers))):
            try:
                worker = self.start()
            except OSError as error:
                self._make_do(error)
                return
            self.workers.append(worker)
            self.selector.register(worker.channel, selectors.EVENT_READ, worker)
            self._tell_of_machine()

    def _make_do(self, error: OSError) -> None:
        """Go on with the workers there are when the system allows no more."""
        if not self.workers:
            raise EngineError(
                Code.ENGINE_FAILED, f"no worker process could be started: {error.strerror}"
            ) from error
        self.procs = len(self.workers)

    def _assign(self) -> None:
        """Give the images that wait to the workers that can take one."""
        for worker in self.workers:
            if worker.idle and self.suspects:
                worker.alone = True
                worker.give(self.suspects.popleft())
            elif worker.idle and self.waiting:
                worker.give(self.waiting.popleft())
        for worker in self.workers:
            if len(self.waiting) <= len(self.workers):
                return
            if worker.ready and not (worker.alone or worker.retiring) and worker.attempts:
                self._give_ahead(worker)

    def _give_ahead(self, worker: Worker) -> None:
        if len(worker.attempts) < _AHEAD and worker.attempts[0].job.size_bytes <= _SMALL_BYTES:
            worker.give(self.waiting.popleft())

    def _listen(self) -> None:
        for key, _ in self.selector.select(_LOOK_UP_SECONDS):
            if isinstance(key.data, Worker):
                self._hear(key.data)
            else:
                self.feed.waken()

    def _hear(self, worker: Worker) -> None:
        match worker.receive():
            case None:
                self._bury(worker, None)
            case Ready():
                worker.ready = True
                self.failed_starts = 0
                self.listener.waiting(None)
            case Stuck(failure):
                worker.finished_first()
                raise OutputError(failure.code, failure.sentence)
            case Done(outcome, resident_bytes):
                attempt = worker.finished_first()
                self._watch_memory(worker, resident_bytes)
                self._finish(replace(outcome, machine=_host(), attempts=attempt.failures + 1))

    def _watch_memory(self, worker: Worker, resident_bytes: int) -> None:
        heavy = resident_bytes > _HEAVY_BYTES
        worker.heavy_images = worker.heavy_images + 1 if heavy else 0
        worker.retiring = worker.retiring or worker.heavy_images >= _HEAVY_IMAGES
        if worker.retiring and not worker.attempts:
            self._dismiss(worker)
            worker.leave()

    def _dismiss(self, worker: Worker) -> None:
        self.selector.unregister(worker.channel)
        self.workers.remove(worker)

    def _end_late_workers(self) -> None:
        now = time.monotonic()
        for worker in list(self.workers):
            if worker.attempts and now - worker.since > self.image_timeout_seconds:
                seconds = f"{self.image_timeout_seconds:g} s"
                self._bury(worker, Failure(Code.IMAGE_TIMEOUT, f"it took longer than {seconds}"))

    def _bury(self, worker: Worker, late: Failure | None) -> None:
        """See to what a worker held that died, or is killed now because it is late."""
        self._dismiss(worker)
        last_words = worker.last_words()
        worker.end()
        if not worker.ready:
            self._count_failed_start(last_words or _crash(worker).sentence)
            return
        if worker.attempts:
            suspect = worker.attempts.popleft()
            self.waiting.extendleft(reversed(worker.attempts))
            self._suspect(suspect, late or _crash(worker))

    def _suspect(self, attempt: Attempt, failure: Failure) -> None:
        failures = attempt.failures + 1
        if failures < MAX_ATTEMPTS:
            self.suspects.append(Attempt(attempt.job, failures))
            return
        hint = "; --image-timeout allows more" if failure.code is Code.IMAGE_TIMEOUT else ""
        sentence = f"{failure.sentence}, on each of {failures} workers{hint}"
        self._finish(
            Outcome(
                attempt.job.index,
                Status.FAILED,
                Failure(failure.code, sentence),
                machine=_host(),
                attempts=failures,
            )
        )

    def _count_failed_start(self, reason: str) -> None:
        self.failed_starts += 1
        if self.failed_starts >= _FAILED_STARTS:
            raise EngineError(
                Code.ENGINE_FAILED, f"the worker processes do not start: {reason.splitlines()[-1]}"
            )

    def _finish(self, outcome: Outcome) -> None:
        self.listener.finished(outcome)

    def _tell_of_machine(self) -> None:
        self.listener.machines([MachineUse(_host(), _host(), len(self.workers))])

    def _tell_of_slow_start(self) -> None:
        ready = any(worker.ready for worker in self.workers)
        late = time.monotonic() - self.started > _SLOW_START_SECONDS
        if self.workers and late and not ready and not self.told_of_start:
            self.told_of_start = True
            self.listener.waiting("the first worker process is starting")


def _crash(worker: Worker) -> Failure:
    how = describe_exit(worker.process.returncode)
    return Failure(Code.WORKER_CRASHED, f"the process that computed it {how}")


@cache
def _host() -> str:
    return socket.gethostname()
