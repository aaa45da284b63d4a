from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.batches import Notes, jobs_of
from tests.support.children import children_of
from tests.support.fragile_worker import DIE, FAIL, HANG
from tests.support.photos import encoded, fill

from imgbatch.adjustment import Adjustment
from imgbatch.batch.model import Job, Status
from imgbatch.batch.write import OutputPolicy
from imgbatch.engines.base import Stop
from imgbatch.engines.local import LocalEngine
from imgbatch.engines.local.crew import Attempt, Worker
from imgbatch.engines.local.launch import launched_ahead
from imgbatch.errors import Code, EngineError, OutputError
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe

FRAGILE = "tests.support.fragile_worker"
RECIPE = Recipe(Adjustment(contrast=20))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "out"
    folder.mkdir()
    return folder


def fragile(target: Path, procs: int = 1, image_timeout_seconds: float = 120.0) -> LocalEngine:
    delivery = OutputPolicy(folder=target)
    return LocalEngine(procs, Limits(), delivery, image_timeout_seconds, worker_module=FRAGILE)


def run(engine: LocalEngine, sources: list[Path], target: Path) -> Notes:
    notes = Notes()
    engine.run(jobs_of(sources, target), RECIPE, notes, Stop())
    return notes


def poisoned(folder: Path, order: bytes, count: int = 5, at: int = 1) -> list[Path]:
    sources = fill(folder, count)
    sources[at].write_bytes(encoded(".jpg") + order)
    return sources


def test_an_image_that_kills_its_worker_is_tried_three_times_and_costs_no_other(
    tmp_path: Path, target: Path
) -> None:
    notes = run(fragile(target), poisoned(tmp_path / "in", DIE), target)
    killer = notes.outcomes[1]
    assert killer.status is Status.FAILED
    assert killer.failure is not None
    assert killer.failure.code is Code.WORKER_CRASHED
    assert "SIGSEGV" in killer.failure.sentence
    assert killer.attempts == 3
    others = [notes.outcomes[index] for index in (0, 2, 3, 4)]
    assert {(other.status, other.attempts) for other in others} == {(Status.WRITTEN, 1)}
    assert notes.told_twice == []


def test_two_killers_do_not_pay_for_each_other(tmp_path: Path, target: Path) -> None:
    sources = poisoned(tmp_path / "in", DIE, count=8)
    sources[5].write_bytes(encoded(".jpg", seed=5) + DIE)
    notes = run(fragile(target, procs=2), sources, target)
    assert [notes.outcomes[index].attempts for index in range(8)] == [1, 3, 1, 1, 1, 3, 1, 1]


def test_an_image_that_hangs_is_ended_by_the_timeout(tmp_path: Path, target: Path) -> None:
    engine = fragile(target, image_timeout_seconds=2.0)
    run(engine, fill(tmp_path / "warm", 1), target)  # imports and compiled kernels, untimed
    sources = [path.rename(path.with_stem(f"x{path.stem}")) for path in fill(tmp_path / "in", 3)]
    sources[1].write_bytes(encoded(".jpg") + HANG)
    notes = run(engine, sources, target)
    failure = notes.outcomes[1].failure
    assert failure is not None
    assert failure.code is Code.IMAGE_TIMEOUT
    assert "--image-timeout" in failure.sentence
    assert notes.outcomes[0].status is Status.WRITTEN
    assert notes.outcomes[2].status is Status.WRITTEN


def test_a_bug_is_a_failure_that_asks_for_a_report(tmp_path: Path, target: Path) -> None:
    notes = run(fragile(target), poisoned(tmp_path / "in", FAIL), target)
    failure = notes.outcomes[1].failure
    assert failure is not None
    assert failure.code is Code.INTERNAL_ERROR
    assert "RuntimeError: a bug" in failure.sentence
    assert notes.outcomes[1].attempts == 1


def test_no_more_workers_are_started_than_there_are_images(tmp_path: Path, target: Path) -> None:
    notes = run(fragile(target, procs=6), fill(tmp_path / "in", 2), target)
    assert max(machines[0].procs for machines in notes.seen_machines) == 2


@pytest.mark.parametrize(("small_bytes", "most"), [(0, 1), (2**20, 2)])
def test_an_image_is_sent_ahead_behind_a_small_one_only(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, small_bytes: int, most: int
) -> None:
    held: list[int] = []
    give = Worker.give

    def noted(worker: Worker, attempt: Attempt) -> None:
        give(worker, attempt)
        held.append(len(worker.attempts))

    monkeypatch.setattr("imgbatch.engines.local.engine._SMALL_BYTES", small_bytes)
    monkeypatch.setattr(Worker, "give", noted)
    run(fragile(target), fill(tmp_path / "in", 12), target)
    assert max(held) == most


def test_a_process_that_was_started_ahead_is_the_first_worker(tmp_path: Path, target: Path) -> None:
    with launched_ahead() as ahead:
        assert ahead is not None
        engine = LocalEngine(2, Limits(), OutputPolicy(folder=target), ahead=ahead)
        notes = run(engine, fill(tmp_path / "in", 1), target)
        assert [machines[0].procs for machines in notes.seen_machines] == [1]
        assert ahead.process.returncode == 0
    assert notes.outcomes[0].status is Status.WRITTEN


def test_workers_that_do_not_start_end_the_run_with_the_reason(
    tmp_path: Path, target: Path
) -> None:
    delivery = OutputPolicy(folder=target)
    engine = LocalEngine(1, Limits(), delivery, worker_module="tests.support.no_such_worker")
    with pytest.raises(EngineError, match="No module named"):
        run(engine, fill(tmp_path / "in", 1), target)


def test_no_worker_is_left_behind(tmp_path: Path, target: Path) -> None:
    run(fragile(target, procs=2), fill(tmp_path / "in", 3), target)
    assert children_of(os.getpid(), b"worker") == []


def test_a_lost_output_folder_ends_the_run(tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 3)
    target.rmdir()
    with pytest.raises(OutputError) as caught:
        run(fragile(target), sources, target)
    assert caught.value.code is Code.OUTPUT_FOLDER_UNWRITABLE


def test_a_worker_that_is_killed_from_outside_is_replaced(tmp_path: Path, target: Path) -> None:
    """Wherever the kill falls, every image is written, and nothing is left half."""
    sources = fill(tmp_path / "in", 30, width=200, height=200)
    notes = Notes()

    def kill_one() -> None:
        notes.first.wait(60)
        for pid in children_of(os.getpid(), b"worker")[:1]:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    fragile(target, procs=2).run(jobs_of(sources, target), RECIPE, notes, Stop())
    killer.join()
    assert {outcome.status for outcome in notes.outcomes.values()} == {Status.WRITTEN}
    assert sorted(path.name for path in target.iterdir()) == sorted(path.name for path in sources)


def test_a_stop_at_once_does_not_wait_for_an_image_that_hangs(tmp_path: Path, target: Path) -> None:
    first, hanging = jobs_of(poisoned(tmp_path / "in", HANG, count=2), target)
    stop, notes = Stop(), Notes()

    def one_after_the_other() -> Iterator[Job]:
        yield first
        notes.first.wait(60)
        yield hanging

    def stop_when_hanging() -> None:
        notes.first.wait(60)
        time.sleep(0.3)
        stop.gently.set()
        time.sleep(0.3)
        stop.now.set()

    stopper = threading.Thread(target=stop_when_hanging)
    stopper.start()
    fragile(target).run(one_after_the_other(), RECIPE, notes, stop)
    stopper.join()
    assert list(notes.outcomes) == [0]


def test_a_worker_that_holds_too_much_memory_is_replaced(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgbatch.engines.local.engine._HEAVY_BYTES", 1)
    notes = run(fragile(target), fill(tmp_path / "in", 8), target)
    assert {outcome.status for outcome in notes.outcomes.values()} == {Status.WRITTEN}
    starts = len(notes.seen_machines)
    assert starts >= 2


def test_jobs_that_come_late_are_waited_for(tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 2)
    first, second = jobs_of(sources, target)
    notes = Notes()

    def slowly() -> Iterator[Job]:
        yield first
        notes.first.wait(60)
        yield second

    fragile(target).run(slowly(), RECIPE, notes, Stop())
    assert sorted(notes.outcomes) == [0, 1]
