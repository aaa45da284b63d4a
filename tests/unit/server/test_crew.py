"""Worker processes that work, die, hang, grow and leave: real ones, which compute nothing."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator

import pytest
from tests.support import small_worker
from tests.support.children import children_of

from imgbatch.errors import Code
from imgbatch.images.limits import Limits
from imgbatch.processes import resident_bytes
from imgbatch.server import crew as crew_module
from imgbatch.server.board import Held
from imgbatch.server.crew import Crew, Loss, Tally
from imgbatch.server.orders import ClientGone, Ready, Serve, Word, WorkerSettings

PATIENCE_SECONDS = 60.0
MakeCrew = Callable[..., "Watched"]


class Watched:
    """A crew, and all that happened to it."""

    def __init__(self, count: int, machine: str = "m", **limits: float) -> None:
        settings = WorkerSettings("amqp://broker/", "imgbatch.", machine, 3, Limits())
        fields = {"image_timeout_seconds": 600.0, "memory_bytes": 2**40} | limits
        self.crew = Crew(count, settings, **fields)  # type: ignore[arg-type]
        self.reader, self.wake = multiprocessing.Pipe(duplex=False)
        self.events: list[Word | Loss] = []

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, self.events
            self.events += self.crew.watch(0.05, self.reader)
            self.crew.look_after()

    def heard(self, kind: type) -> list[object]:
        return [event for event in self.events if isinstance(event, kind)]

    def start(self) -> Watched:
        self.crew.fill([])
        self.until(lambda: self.crew.ready == self.crew._count)
        return self


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeCrew]:
    monkeypatch.setattr(crew_module, "_enter", small_worker.enter)
    made: list[Watched] = []

    def make_one(*arguments: object, **more: object) -> Watched:
        made.append(Watched(*arguments, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make_one
    for watched in made:
        watched.crew.kill()
        watched.until(lambda watched=watched: watched.crew.is_empty)


def test_workers_start_say_that_they_are_ready_and_drain(make: MakeCrew) -> None:
    watched = make(2).start()
    assert watched.heard(Ready) == [Ready(), Ready()]
    assert (watched.crew.ready, watched.crew.busy) == (2, 0)
    watched.crew.fill([])
    assert len(watched.crew._workers) == 2
    watched.crew.drain()
    watched.until(lambda: watched.crew.is_empty)
    assert watched.heard(Loss) == []
    watched.crew.fill([])
    assert watched.crew.is_empty


def test_images_are_counted(make: MakeCrew) -> None:
    watched = make(1).start()
    watched.crew.order(Serve("one image", "q"))
    watched.until(lambda: watched.crew.tally.images)
    assert (watched.crew.tally.images, watched.crew.tally.busy_seconds) == (1, 0.25)
    assert watched.crew.busy == 0


def test_a_worker_that_dies_is_told_of_with_its_image_and_replaced(make: MakeCrew) -> None:
    watched = make(1).start()
    watched.crew.order(Serve("kill", "q"))
    watched.until(lambda: watched.heard(Loss))
    (loss,) = watched.heard(Loss)
    assert isinstance(loss, Loss)
    assert isinstance(loss.held, Held)
    assert (loss.held.batch, loss.held.job) == ("kill", 2)
    assert (loss.code, loss.sentence) == (Code.WORKER_CRASHED, "a worker was killed by SIGSEGV")
    assert watched.crew.is_empty
    watched.crew.fill([Serve("one image", "q")])
    watched.until(lambda: watched.crew.tally.images == 1)


def test_a_worker_that_dies_with_nothing_in_its_hands_blames_no_image(make: MakeCrew) -> None:
    watched = make(1).start()
    watched.crew.order(Serve("kill when idle", "q"))
    watched.until(lambda: watched.heard(Loss))
    assert watched.heard(Loss) == [
        Loss(None, Code.WORKER_CRASHED, "a worker ended with exit code 3")
    ]


def test_what_a_worker_did_before_its_death_counts(make: MakeCrew) -> None:
    watched = make(1).start()
    for batch in ("one image", "one image", "kill"):
        watched.crew.order(Serve(batch, "q"))
    watched.until(lambda: watched.heard(Loss))
    assert watched.crew.tally.images == 2
    assert watched.crew.busy == 0


def test_an_image_that_takes_too_long_costs_its_worker(make: MakeCrew) -> None:
    watched = make(1, image_timeout_seconds=0.2).start()
    watched.crew.order(Serve("hang", "q"))
    watched.until(lambda: watched.heard(Loss))
    (loss,) = watched.heard(Loss)
    assert isinstance(loss, Loss)
    assert loss.code is Code.IMAGE_TIMEOUT
    assert loss.held is not None
    assert loss.held.job == 3


def test_a_worker_that_has_grown_too_large_is_let_go_and_replaced(make: MakeCrew) -> None:
    watched = make(1).start()
    (worker,) = watched.crew._workers
    small = resident_bytes(worker.process.pid or 0)
    watched.crew._memory_bytes = small + 32 * 2**20
    watched.crew.look_after()
    assert not worker.leaving
    watched.crew.order(Serve("grow", "q"))
    watched.until(lambda: watched.heard(ClientGone))
    watched.crew.look_after()
    assert worker.leaving
    watched.crew.fill([])
    assert len(watched.crew._workers) == 2
    watched.until(lambda: worker not in watched.crew._workers and watched.crew.ready == 1)
    assert watched.heard(Loss) == []


def test_workers_that_never_become_ready_are_started_ever_more_slowly(make: MakeCrew) -> None:
    watched = make(1, machine="never ready")
    pauses = []
    for _ in range(3):
        watched.until(lambda: watched.crew.fill([]) or not watched.crew.is_empty)
        losses = len(watched.heard(Loss))
        watched.until(lambda losses=losses: len(watched.heard(Loss)) > losses)
        pauses.append(watched.crew._pause_seconds)
    assert pauses == [0.2, 0.4, 0.8]
    watched.crew.fill([])
    assert watched.crew.is_empty


def test_killing_leaves_no_process_behind(make: MakeCrew) -> None:
    watched = make(2).start()
    pids = [worker.process.pid for worker in watched.crew._workers]
    watched.crew.kill()
    watched.until(lambda: watched.crew.is_empty)
    import os

    assert not set(pids) & set(children_of(os.getpid()))


def test_the_watch_ends_early_when_it_is_woken(make: MakeCrew) -> None:
    watched = make(1).start()
    for _ in range(3):
        watched.wake.send_bytes(b"!")
    assert list(watched.crew.watch(600.0, watched.reader)) == []


def test_the_rate_is_that_of_the_last_seconds() -> None:
    tally = Tally()
    assert tally.images_per_second == 0.0
    for second in range(20):
        tally.note(3 * second, 0.5 * second, float(second))
    assert (tally.images, tally.busy_seconds) == (57, 9.5)
    assert tally.images_per_second == pytest.approx(3.0)
    tally.note(57, 9.5, 100.0)
    assert tally.images_per_second == 0.0
