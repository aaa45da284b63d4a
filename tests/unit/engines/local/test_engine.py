from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.batches import ListedJobs, Notes, jobs_of
from tests.support.children import fork_servers_of, workers_of
from tests.support.cold_cache import cold_cache, kept_in
from tests.support.fragile_worker import DIE, FAIL, FAIL_AT_LENGTH, HANG, LENGTH
from tests.support.photos import black_png, encoded, fill

from imgbatch.adjustment import Adjustment
from imgbatch.batch.model import Status
from imgbatch.batch.write import OutputPolicy
from imgbatch.engines.base import Stop
from imgbatch.engines.local import PRELOAD
from imgbatch.engines.local.engine import LocalEngine
from imgbatch.errors import Code, EngineError, OutputError
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import Worker
from imgbatch_kernels.compiled import kernel

FRAGILE = "tests.support.fragile_worker:main"
RECIPE = Recipe(Adjustment(contrast=20))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "out"
    folder.mkdir()
    return folder


def fragile(target: Path, procs: int = 1, image_timeout_seconds: float = 120.0) -> LocalEngine:
    delivery = OutputPolicy(folder=target)
    return LocalEngine(procs, Limits(), delivery, image_timeout_seconds, target=FRAGILE)


def run(engine: LocalEngine, sources: list[Path], target: Path) -> Notes:
    notes = Notes()
    engine.run(ListedJobs(jobs_of(sources, target)), RECIPE, notes, Stop())
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


def test_no_image_pays_for_the_end_of_the_fork_server(tmp_path: Path, target: Path) -> None:
    sources = poisoned(tmp_path / "in", DIE + HANG, count=2, at=0)
    sources[0].write_bytes(encoded(".jpg") + HANG)
    servers: list[int] = []

    def end_servers() -> None:
        """Kill the server five times, each while an image is in hand; then let that image be."""
        while len(servers) < 5:
            living = [pid for pid in fork_servers_of(os.getpid()) if pid not in servers]
            if living and workers_of(os.getpid()):
                time.sleep(0.3)
                servers.append(living[0])
                os.kill(living[0], signal.SIGKILL)
            time.sleep(0.05)
        os.truncate(sources[0], len(encoded(".jpg")))

    killer = threading.Thread(target=end_servers)
    killer.start()
    notes = run(fragile(target), sources, target)
    killer.join()
    assert notes.outcomes[1].status is Status.WRITTEN
    assert {outcome.attempts for outcome in notes.outcomes.values()} == {1}


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

    def noted(worker: Worker, task: object) -> None:
        give(worker, task)
        held.append(len(worker.given))

    monkeypatch.setattr("imgbatch.engines.local.engine._SMALL_BYTES", small_bytes)
    monkeypatch.setattr(Worker, "give", noted)
    run(fragile(target), fill(tmp_path / "in", 12), target)
    assert max(held) == most


def test_a_fork_server_that_was_started_ahead_is_used(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(ForkServer(PRELOAD)) as server:
        monkeypatch.delattr("imgbatch.engines.local.engine.ForkServer")
        engine = LocalEngine(2, Limits(), OutputPolicy(folder=target), server=server)
        notes = run(engine, fill(tmp_path / "in", 1), target)
    assert notes.outcomes[0].status is Status.WRITTEN


def test_a_message_of_any_length_ends_no_run(tmp_path: Path, target: Path) -> None:
    sources = poisoned(tmp_path / "in", FAIL_AT_LENGTH, count=3)
    notes = run(fragile(target), sources, target)
    failure = notes.outcomes[1].failure
    assert failure is not None
    assert len(failure.sentence) > LENGTH
    assert notes.outcomes[2].status is Status.WRITTEN


def test_an_image_that_asks_for_more_memory_than_there_may_be_fails_alone(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = fill(tmp_path / "in", 3)
    sources[1].write_bytes(black_png(6000, 6000))  # 100 kB, and 108 MB of pixels
    kernel("png-unfilter-3")  # there is not memory enough to compile it
    monkeypatch.setattr("imgbatch.engines.local.engine.worst_case_bytes", lambda _: 150 << 20)
    engine = LocalEngine(1, Limits(), OutputPolicy(folder=target))
    notes = run(engine, sources, target)
    failure = notes.outcomes[1].failure
    assert failure is not None
    assert failure.code is Code.OUT_OF_MEMORY
    assert "memory" in failure.sentence
    assert [notes.outcomes[index].attempts for index in range(3)] == [1, 1, 1]
    assert notes.outcomes[2].status is Status.WRITTEN


def test_workers_that_do_not_start_end_the_run_with_the_reason(
    tmp_path: Path, target: Path
) -> None:
    delivery = OutputPolicy(folder=target)
    engine = LocalEngine(1, Limits(), delivery, target="tests.support.no_such_worker:main")
    with pytest.raises(EngineError, match="No module named"):
        run(engine, fill(tmp_path / "in", 1), target)


def test_no_worker_is_left_behind(tmp_path: Path, target: Path) -> None:
    run(fragile(target, procs=2), fill(tmp_path / "in", 3), target)
    assert fork_servers_of(os.getpid()) == []


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
        for pid in workers_of(os.getpid())[:1]:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    fragile(target, procs=2).run(ListedJobs(jobs_of(sources, target)), RECIPE, notes, Stop())
    killer.join()
    assert {outcome.status for outcome in notes.outcomes.values()} == {Status.WRITTEN}
    assert sorted(path.name for path in target.iterdir()) == sorted(path.name for path in sources)


def test_a_stop_at_once_does_not_wait_for_an_image_that_hangs(tmp_path: Path, target: Path) -> None:
    first, hanging = jobs_of(poisoned(tmp_path / "in", HANG, count=2), target)
    stop, notes, jobs = Stop(), Notes(), ListedJobs([first], late=hanging)

    def stop_when_hanging() -> None:
        notes.first.wait(60)
        jobs.find()
        time.sleep(0.3)
        stop.gently.set()
        time.sleep(0.3)
        stop.now.set()

    stopper = threading.Thread(target=stop_when_hanging)
    stopper.start()
    fragile(target).run(jobs, RECIPE, notes, stop)
    stopper.join()
    assert list(notes.outcomes) == [0]


def test_a_worker_that_holds_too_much_memory_is_replaced(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgbatch.engines.local.engine._IDLE_MEMORY_BYTES", 1)
    notes = run(fragile(target), fill(tmp_path / "in", 8), target)
    assert {outcome.status for outcome in notes.outcomes.values()} == {Status.WRITTEN}
    starts = len(notes.seen_machines)
    assert starts >= 2


def test_jobs_that_come_late_are_waited_for(tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 2)
    first, second = jobs_of(sources, target)
    notes, jobs = Notes(), ListedJobs([first], late=second)

    def find_when_the_first_is_done() -> None:
        notes.first.wait(60)
        jobs.find()

    finder = threading.Thread(target=find_when_the_first_is_done)
    finder.start()
    fragile(target).run(jobs, RECIPE, notes, Stop())
    finder.join()
    assert sorted(notes.outcomes) == [0, 1]


def test_while_kernels_are_compiled_the_listener_is_told_and_no_image_s_time_runs(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cold_cache(tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    engine = LocalEngine(4, Limits(), OutputPolicy(folder=target), image_timeout_seconds=2.0)
    notes = run(engine, fill(tmp_path / "in", 6), target)
    assert notes.reasons[:2] == ["compiling the kernels for this processor, once", None]
    assert {it.attempts for it in notes.outcomes.values()} == {1}
    assert kept_in(tmp_path / "cache") == {"adjust-uint8"}
