"""What every engine owes a run, held against each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import heifs, images
from tests.support.batches import ListedJobs, Notes, jobs_of
from tests.support.brokers import Broker
from tests.support.photos import encoded, fill
from tests.support.programs import programs_in

from imgbatch.adjustment import Adjustment
from imgbatch.batch.model import Job, Status
from imgbatch.batch.thumbnails import jpeg_size
from imgbatch.batch.write import OutputPolicy
from imgbatch.engines.base import Engine, Stop
from imgbatch.engines.local.engine import LocalEngine
from imgbatch.engines.rabbitmq import RabbitEngine, RabbitOptions
from imgbatch.errors import Code, EngineError
from imgbatch.images.limits import Limits
from imgbatch.pipeline import process
from imgbatch.recipe import Recipe

RECIPE = Recipe(Adjustment(brightness=10, contrast=20, sharpness=40))
Build = Callable[[OutputPolicy, Limits], Engine]


def _local_engine(delivery: OutputPolicy, limits: Limits) -> Engine:
    return LocalEngine(2, limits, delivery)


@pytest.fixture(scope="module")
def working_broker(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker on which a server with two workers listens."""
    url = broker.place().url
    with programs_in(tmp_path_factory.mktemp("server")) as programs:
        programs.server(url, procs=2)
        programs.wait_for_machines(url, 1)
        yield url


@pytest.fixture
def rabbitmq_engine(working_broker: str) -> Build:
    options = RabbitOptions(working_broker, timeout_seconds=60)
    return lambda delivery, limits: RabbitEngine(options, limits, delivery)


@pytest.fixture(
    params=["local", pytest.param("rabbitmq", marks=[pytest.mark.broker, pytest.mark.timeout(180)])]
)
def build(request: pytest.FixtureRequest) -> Build:
    if request.param == "local":
        return _local_engine
    engine: Build = request.getfixturevalue("rabbitmq_engine")
    return engine


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "out"
    folder.mkdir()
    return folder


def _run(engine: Engine, jobs: Iterator[Job], stop: Stop | None = None) -> Notes:
    notes = Notes()
    engine.run(ListedJobs(jobs), RECIPE, notes, stop or Stop())
    return notes


def test_every_job_ends_once_and_is_written(build: Build, tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 12)
    notes = _run(build(OutputPolicy(folder=target), Limits()), jobs_of(sources, target))
    assert sorted(notes.outcomes) == list(range(12))
    assert notes.told_twice == []
    assert {outcome.status for outcome in notes.outcomes.values()} == {Status.WRITTEN}


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_results_are_the_bytes_that_process_gives(
    build: Build, tmp_path: Path, target: Path, suffix: str
) -> None:
    sources = fill(tmp_path / "in", 3, suffix)
    _run(build(OutputPolicy(folder=target), Limits()), jobs_of(sources, target))
    for source in sources:
        expected = process(source.read_bytes(), RECIPE.adjustment)
        assert (target / source.name).read_bytes() == expected


def test_phones_pictures_and_animations_are_the_bytes_that_process_gives(
    build: Build, tmp_path: Path, target: Path
) -> None:
    files = {kind: images.animation(kind.upper()) for kind in ("gif", "png", "webp", "avif")}
    files["heic"] = heifs.sample("phone")
    sources = [tmp_path / f"a.{suffix}" for suffix in files]
    for source, file in zip(sources, files.values(), strict=True):
        source.write_bytes(file)
    _run(build(OutputPolicy(folder=target), Limits()), jobs_of(sources, target))
    for source in sources:
        expected = process(source.read_bytes(), RECIPE.adjustment)
        assert (target / source.name).read_bytes() == expected


def test_outcomes_tell_size_pixels_time_and_machine(
    build: Build, tmp_path: Path, target: Path
) -> None:
    sources = fill(tmp_path / "in", 1, width=60, height=20)
    notes = _run(build(OutputPolicy(folder=target), Limits()), jobs_of(sources, target))
    outcome = notes.outcomes[0]
    assert (outcome.width_pixels, outcome.height_pixels) == (60, 20)
    assert outcome.bytes_out == (target / sources[0].name).stat().st_size
    assert outcome.seconds > 0
    assert outcome.attempts == 1
    assert outcome.machine in {machine.id for machine in notes.seen_machines[-1]}


def test_outcomes_bring_the_thumbnails_that_are_wanted(
    build: Build, tmp_path: Path, target: Path
) -> None:
    # Noise, of which the second result is larger than what waits for others in a message.
    sources = fill(tmp_path / "in", 2, width=60, height=20)
    sources += fill(tmp_path / "large", 1, ".png", width=900, height=600)
    sources.append(sources[0])
    wanted = [True, True, True, False]
    jobs = [
        replace(job, target=target / f"{job.index}{job.source.suffix}", wants_thumbnails=wants)
        for job, wants in zip(jobs_of(sources, target), wanted, strict=True)
    ]
    notes = _run(build(OutputPolicy(folder=target), Limits()), iter(jobs))
    assert {outcome.status for outcome in notes.outcomes.values()} == {Status.WRITTEN}
    sizes = [
        [jpeg_size(jpeg) for jpeg in notes.outcomes[index].thumbnails or ()] for index in range(4)
    ]
    assert sizes == [[(60, 20)] * 2, [(60, 20)] * 2, [(480, 320)] * 2, []]


def test_a_bad_file_costs_only_itself(build: Build, tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 4)
    sources[0].write_text("a diary")
    sources[1].write_bytes(b"")
    sources[2].write_bytes(encoded(".jpg")[:400])
    jobs = list(jobs_of(sources, target))
    notes = _run(build(OutputPolicy(folder=target), Limits()), iter(jobs))
    failures = [notes.outcomes[index].failure for index in range(4)]
    codes = [failure and failure.code for failure in failures]
    assert codes == [Code.NOT_AN_IMAGE, Code.EMPTY_FILE, Code.TRUNCATED_IMAGE, None]
    assert notes.outcomes[0].status is Status.SKIPPED
    assert notes.outcomes[1].status is Status.FAILED
    assert [path.name for path in target.iterdir()] == [sources[3].name]


def test_a_file_that_vanished_is_one_failure(build: Build, tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 2)
    jobs = list(jobs_of(sources, target))
    sources[0].unlink()
    notes = _run(build(OutputPolicy(folder=target), Limits()), iter(jobs))
    failure = notes.outcomes[0].failure
    assert failure is not None
    assert failure.code is Code.UNREADABLE_FILE
    assert notes.outcomes[1].status is Status.WRITTEN


def test_a_file_that_changed_is_one_failure(build: Build, tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 2)
    jobs = list(jobs_of(sources, target))
    sources[0].write_bytes(encoded(".jpg", width=100))
    notes = _run(build(OutputPolicy(folder=target), Limits()), iter(jobs))
    failure = notes.outcomes[0].failure
    assert failure is not None
    assert failure.code is Code.CHANGED_FILE


def test_limits_hold(build: Build, tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 1) + fill(tmp_path / "large", 1, width=64, height=64)
    sources[1] = sources[1].rename(tmp_path / "large" / "large.jpg")
    engine = build(OutputPolicy(folder=target), Limits(max_pixels=2000))
    notes = _run(engine, jobs_of(sources, target))
    failure = notes.outcomes[1].failure
    assert failure is not None
    assert failure.code is Code.TOO_MANY_PIXELS
    assert notes.outcomes[0].status is Status.WRITTEN


def test_a_result_is_not_put_in_place_of_another_file(
    build: Build, tmp_path: Path, target: Path
) -> None:
    sources = fill(tmp_path / "in", 1)
    (target / sources[0].name).write_text("somebody's")
    notes = _run(build(OutputPolicy(folder=target), Limits()), jobs_of(sources, target))
    failure = notes.outcomes[0].failure
    assert failure is not None
    assert failure.code is Code.OUTPUT_EXISTS
    assert (target / sources[0].name).read_text() == "somebody's"


def test_no_jobs_at_all_is_a_run_too(build: Build, target: Path) -> None:
    assert _run(build(OutputPolicy(folder=target), Limits()), iter(())).outcomes == {}


def test_an_engine_runs_again(build: Build, tmp_path: Path, target: Path) -> None:
    sources = fill(tmp_path / "in", 2)
    engine = build(OutputPolicy(overwrite=True, folder=target), Limits())
    for _ in range(2):
        assert len(_run(engine, jobs_of(sources, target)).outcomes) == 2


def test_a_gentle_stop_draws_no_more_and_finishes_what_is_at_hand(
    build: Build, tmp_path: Path, target: Path
) -> None:
    sources = fill(tmp_path / "in", 1)
    stop, drawn = Stop(), []

    def endless() -> Iterator[Job]:
        (job,) = jobs_of(sources, target)
        while not stop.gently.is_set():
            index = len(drawn)
            drawn.append(index)
            target_path = target / f"{index}.jpg"
            yield Job(index, job.source, target_path, job.size_bytes, job.modified_ns, job.mode)

    notes = Notes()
    engine = build(OutputPolicy(folder=target), Limits())
    stopper = threading.Thread(target=lambda: notes.first.wait() and stop.gently.set())
    stopper.start()
    engine.run(ListedJobs(endless()), RECIPE, notes, stop)
    stopper.join()
    written = {path.name for path in target.iterdir()}
    assert written == {f"{index}.jpg" for index in notes.outcomes}
    assert len(notes.outcomes) <= len(drawn)


def test_a_stop_at_once_leaves_no_temporary_file(
    build: Build, tmp_path: Path, target: Path
) -> None:
    sources = fill(tmp_path / "in", 6, ".png", width=900, height=700)
    stop, notes = Stop(), Notes()
    engine = build(OutputPolicy(folder=target), Limits())
    stopper = threading.Thread(target=lambda: notes.first.wait() and stop.now.set())
    stopper.start()
    engine.run(ListedJobs(jobs_of(sources, target)), RECIPE, notes, stop)
    stopper.join()
    assert not [path for path in target.iterdir() if path.name.startswith(".imgbatch")]


def test_an_error_of_the_jobs_is_the_run_s(build: Build, tmp_path: Path, target: Path) -> None:
    def failing() -> Iterator[Job]:
        yield from jobs_of(fill(tmp_path / "in", 1), target)
        raise EngineError(Code.ENGINE_FAILED, "the journal is gone")

    with pytest.raises(EngineError, match="the journal is gone"):
        _run(build(OutputPolicy(folder=target), Limits()), failing())


def test_jobs_are_drawn_as_there_is_room_for_them(
    build: Build, tmp_path: Path, target: Path
) -> None:
    sources = fill(tmp_path / "in", 1)
    (job,) = jobs_of(sources, target)
    ahead, notes = [], Notes()

    def counted() -> Iterator[Job]:
        for index in range(200):
            ahead.append(index - len(notes.outcomes))
            target_path = target / f"{index}.jpg"
            yield Job(index, job.source, target_path, job.size_bytes, job.modified_ns, job.mode)

    build(OutputPolicy(folder=target), Limits()).run(ListedJobs(counted()), RECIPE, notes, Stop())
    assert len(notes.outcomes) == 200
    assert max(ahead) < 100
