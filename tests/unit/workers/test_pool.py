"""Worker processes that work, die, hang, grow and leave: real ones, which compute nothing."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.children import fork_servers_of, workers_of

from imgbatch.errors import Code
from imgbatch.workers.forkserver import COULD_NOT_FORK, ForkServer
from imgbatch.workers.pool import Worker, WorkerExit, WorkerPool, describe_exit
from imgbatch.workers.process import Ready
from imgbatch.workers.status import Figures, memory_of

PATIENCE_SECONDS = 60.0
MakePool = Callable[..., "Watched"]


class Watched:
    """A pool, and all that happened in it."""

    def __init__(self, count: int, target: str = "main", **policy: Any) -> None:
        self.server = ForkServer()
        self.pool = WorkerPool(self.server, f"tests.support.pool_worker:{target}", **policy)
        self.count = count
        self.messages: list[object] = []

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.messages
            self.messages += [message for _, message in self.pool.listen(0.05)]
            self.pool.look_after()

    def start(self) -> Watched:
        self.pool.fill(self.count)
        self.until(lambda: self.pool.ready == self.count)
        return self

    def say(self, word: str) -> Worker:
        """Tell the first worker something."""
        worker = self.pool.workers[0]
        worker.send(word)
        return worker

    @property
    def exits(self) -> list[WorkerExit]:
        return [message for message in self.messages if isinstance(message, WorkerExit)]

    def exit(self) -> WorkerExit:
        """Wait for a worker's end."""
        self.until(lambda: self.exits)
        return self.exits[0]


@pytest.fixture
def make() -> Iterator[MakePool]:
    made: list[Watched] = []

    def make_one(*arguments: Any, **more: Any) -> Watched:
        made.append(Watched(*arguments, **more))
        return made[-1]

    yield make_one
    for watched in made:
        watched.pool.close()
    assert fork_servers_of(os.getpid()) == []


def test_workers_start_say_that_they_are_ready_and_leave(make: MakePool) -> None:
    watched = make(2).start()
    assert watched.messages == [Ready(), Ready()]
    assert (watched.pool.ready, watched.pool.busy) == (2, 0)
    assert watched.pool.fill(2) == []
    for worker in watched.pool.workers:
        watched.pool.dismiss(worker)
    watched.until(lambda: not watched.pool.workers)
    assert [exited.how for exited in watched.exits] == ["ended with exit code 0"] * 2


def test_sixteen_workers_cost_a_third_of_a_second_of_processor_time(make: MakePool) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    watched = make(16).start()
    watched.pool.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_what_each_was_given_is_answered_in_turn(make: MakePool) -> None:
    watched = make(1).start()
    (worker,) = watched.pool.workers
    assert worker.is_free
    worker.give("one image")
    worker.give("look around")
    assert not worker.is_free
    assert watched.pool.busy == 1
    watched.until(lambda: len(watched.messages) == 3)
    assert watched.messages[1] == "one image"
    assert [worker.answered(), worker.answered()] == ["one image", "look around"]
    assert worker.is_free
    assert (watched.pool.images, watched.pool.busy_seconds) == (1, 0.25)


def test_a_worker_that_dies_is_told_of_with_its_image_and_replaced(make: MakePool) -> None:
    watched = make(1).start()
    watched.say("one image")
    watched.say("end: with an image")
    exited = watched.exit()
    assert exited.how == "was killed by SIGSEGV"
    assert exited.code is Code.WORKER_CRASHED
    assert (exited.figures.batch, exited.figures.job) == ("batch", 2)
    assert (watched.pool.workers, watched.pool.images) == ([], 1)
    assert watched.pool.crashes == 1
    assert len(watched.pool.fill(1)) == 1
    watched.say("one image")
    # The dead worker's image, and the living one's.
    watched.until(lambda: watched.pool.histograms[3][-1] == 0.5)
    watched.until(lambda: watched.pool.ready)


def test_a_worker_that_dies_with_nothing_in_hand_blames_no_image(make: MakePool) -> None:
    watched = make(1).start()
    watched.say("end: when idle")
    exited = watched.exit()
    assert (exited.how, exited.figures.job) == ("ended with exit code 3", -1)


def test_the_exception_that_ends_a_worker_is_told(make: MakePool) -> None:
    watched = make(1).start()
    watched.say("end: with an exception")
    assert watched.exit().how == "ended with LookupError: nothing found"


def test_what_a_worker_said_before_its_death_is_heard_before_it(make: MakePool) -> None:
    watched = make(1).start()
    for _ in range(20):
        watched.say("end: after an answer")
        watched.until(lambda: watched.exits)
        said, exited = watched.messages[-2:]
        assert (said, exited.how) == ("the last", "was killed by SIGKILL")
        watched.messages.clear()
        watched.start()


def test_an_image_that_takes_too_long_costs_its_worker(make: MakePool) -> None:
    watched = make(1, time_limit_seconds=0.2).start()
    watched.say("end: never")
    exited = watched.exit()
    assert exited.code is Code.IMAGE_TIMEOUT
    assert exited.figures.job == 3


def test_no_image_pays_for_a_kernel_that_is_compiled(make: MakePool) -> None:
    watched = make(1, time_limit_seconds=0.2).start()
    worker = watched.say("compile")
    watched.until(lambda: worker.figures.waits_for)
    watched.until(lambda: "compile" in watched.messages)
    assert watched.exits == []
    assert not worker.figures.waits_for


def test_a_worker_that_was_given_an_image_and_takes_no_notice_is_too_slow_as_well(
    make: MakePool,
) -> None:
    watched = make(1, time_limit_seconds=0.2).start()
    (worker,) = watched.pool.workers
    os.kill(worker.figures.pid, signal.SIGSTOP)
    worker.give("one image")
    assert watched.exit().code is Code.IMAGE_TIMEOUT


def test_a_worker_that_closes_its_pipe_ends(make: MakePool) -> None:
    watched = make(1).start()
    watched.say("end: never, and say no more")
    assert watched.exit().how == "was killed by SIGKILL"


def test_a_worker_that_has_grown_too_large_leaves_after_its_image(make: MakePool) -> None:
    watched = make(1).start()
    (worker,) = watched.pool.workers
    watched.pool.idle_memory_bytes = memory_of(worker.figures.pid)[1] + 32 * 2**20
    watched.say("one image")
    watched.until(lambda: watched.pool.images)
    assert not worker.leaving
    watched.say("grow")
    watched.say("one image")
    watched.until(lambda: worker.leaving)
    assert len(watched.pool.fill(1)) == 1
    watched.until(lambda: worker not in watched.pool.workers and watched.pool.ready == 1)


def test_no_worker_gets_more_memory_than_there_may_be(make: MakePool) -> None:
    watched = make(1, memory_bytes=2**28).start()
    watched.say("take all memory")
    watched.until(lambda: "no memory" in watched.messages)


def test_workers_that_never_become_ready_are_started_ever_more_slowly(make: MakePool) -> None:
    watched = make(1, target="never_ready")
    pauses = []
    for failures in (1, 2, 3):
        watched.until(lambda: watched.pool.fill(1))
        watched.until(lambda failures=failures: watched.pool.failed_starts == failures)
        pauses.append(watched.pool._pause_seconds)
    assert pauses == [0.2, 0.4, 0.8]
    assert watched.pool.problem == "ended with exit code 7"
    assert watched.pool.fill(1) == []


def test_several_that_fail_to_start_at_once_cost_one_pause(make: MakePool) -> None:
    watched = make(4, target="never_ready")
    watched.pool.fill(4)
    watched.until(lambda: watched.pool.failed_starts == 4)
    assert watched.pool._pause_seconds == 0.2


def test_a_worker_that_cannot_be_imported_says_so(make: MakePool) -> None:
    watched = make(1, target="nothing_of_this_name")
    watched.pool.fill(1)
    watched.until(lambda: watched.pool.failed_starts)
    assert "nothing_of_this_name" in watched.pool.problem


def test_where_the_system_allows_no_more_files_the_pool_makes_do(make: MakePool) -> None:
    watched = make(1).start()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use - 1, hard))
    try:
        assert watched.pool.fill(3) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert watched.pool.failed_starts == 1
    assert "too many open files" in watched.pool.problem.lower()
    watched.say("one image")
    watched.until(lambda: watched.pool.images)


def test_a_fork_server_that_dies_takes_its_workers_along_and_is_replaced(make: MakePool) -> None:
    watched = make(2).start()
    workers = workers_of(os.getpid())
    os.kill(watched.server.pid, signal.SIGKILL)
    watched.until(lambda: len(watched.exits) == 2)
    assert {exited.how for exited in watched.exits} == {"was killed"}
    watched.start()
    assert not set(workers) & set(workers_of(os.getpid()))
    assert watched.pool.ready == 2


def test_closing_leaves_no_process_behind_whatever_they_do(make: MakePool) -> None:
    watched = make(3).start()
    watched.say("end: never")
    watched.until(lambda: watched.pool.busy)
    watched.pool.workers[1].send("end: never, and say no more")
    watched.pool.close()
    assert fork_servers_of(os.getpid()) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "was killed"),
        (0, "ended with exit code 0"),
        (-signal.SIGSEGV, "was killed by SIGSEGV"),
        (-63, "was killed by signal 63"),
        (COULD_NOT_FORK + 11, "could not be started: Resource temporarily unavailable"),
    ],
)
def test_how_a_process_ended_in_words(code: int | None, words: str) -> None:
    assert describe_exit(code) == words


def test_a_worker_that_takes_up_an_image_while_it_is_looked_at_is_not_overdue(make: MakePool):
    watched = make(1, time_limit_seconds=60.0).start()
    (worker,) = watched.pool.workers
    busy = Figures(job=1, since_seconds=time.monotonic())
    looks = itertools.cycle([Figures(), busy])
    worker.status.read = lambda: next(looks)  # type: ignore[method-assign]
    watched.pool.look_after()
    assert worker.overdue_seconds == 0
    del worker.status.read
