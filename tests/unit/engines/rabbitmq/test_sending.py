"""Tickets and images on their way out, from real files."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.batches import Notes, jobs_of
from tests.support.frames import announcement
from tests.support.outbox import Outbox

from imgbatch.adjustment import Adjustment
from imgbatch.batch.model import Job, Outcome, Status
from imgbatch.broker.publisher import Message
from imgbatch.engines.base import Progress
from imgbatch.engines.rabbitmq.desk import MOST_BUNDLES_PER_WORKER, Desk
from imgbatch.engines.rabbitmq.machines import MachineRegistry
from imgbatch.engines.rabbitmq.offers import DOUBTED, Offers
from imgbatch.engines.rabbitmq.sending import Courier, Feeder, Route, in_bundles
from imgbatch.errors import Code
from imgbatch.images.limits import Limits
from imgbatch.protocol import Cancel, Chunk, Fetch, Ticket
from imgbatch.protocol.assembly import Assembly
from imgbatch.protocol.slicing import BUNDLE_BYTES, CHUNK_BYTES
from imgbatch.recipe import Recipe

LIMIT = 4 * CHUNK_BYTES
PIXELS = 1_000_000
ROUTE = Route(
    "b", "topic", "imgbatch.batch.b", Recipe(Adjustment(brightness=7)), Limits(PIXELS, LIMIT)
)
QUEUE = "imgbatch.worker.1"


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def desk(notes: Notes) -> Desk:
    fleet = MachineRegistry(None, mixed=False)
    fleet.hear(announcement(procs=2), 0.0)
    fleet.update(1.0)
    return Desk(Offers(), fleet, notes)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def feeder(desk: Desk, outbox: Outbox) -> Feeder:
    return Feeder(ROUTE, desk, outbox)


@pytest.fixture
def courier(desk: Desk, outbox: Outbox, feeder: Feeder) -> Iterator[Courier]:
    courier = Courier(desk, outbox, feeder)
    courier.start()
    yield courier
    courier.stop()
    courier._thread.join(30)


def finish(courier: Courier) -> None:
    """Wait until everything that was requested has been served."""
    courier.stop()
    courier._thread.join(30)
    assert not courier._thread.is_alive()


def files(folder: Path, *sizes: int) -> list[Job]:
    paths = [folder / str(number) for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(itertools.islice(itertools.cycle(range(251)), size)))
    return list(jobs_of(paths, folder / "out"))


def fetch(job: int = 0, transfer: int = 5, *, begins: bool = False) -> Fetch:
    return Fetch("b", job, QUEUE, transfer, begins, "machine-1")


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES])
def test_a_small_image_rides_in_its_ticket(
    tmp_path: Path, desk: Desk, feeder: Feeder, outbox: Outbox, size: int
) -> None:
    (job,) = files(tmp_path, size)
    feeder.offer(desk.offers.add([job], 0.0))
    (received,) = outbox.frames()
    assert received.frame == Ticket("b", 0, 0, "topic", size, PIXELS, ROUTE.recipe.to_fields())
    assert received.payload == job.source.read_bytes()
    assert outbox.messages[0].routing_key == ROUTE.work_queue
    assert outbox.messages[0].mandatory


def test_a_large_image_stays_where_it_is(
    tmp_path: Path, desk: Desk, feeder: Feeder, outbox: Outbox
) -> None:
    (job,) = files(tmp_path, CHUNK_BYTES + 1)
    feeder.offer(desk.offers.add([job], 0.0))
    (received,) = outbox.frames()
    assert isinstance(received.frame, Ticket)
    assert received.frame.size_bytes == CHUNK_BYTES + 1
    assert received.payload == b""


def test_a_ticket_that_is_offered_again_says_so_and_carries_nothing(
    tmp_path: Path, desk: Desk, feeder: Feeder, outbox: Outbox
) -> None:
    (job,) = files(tmp_path, 100)
    desk.offers.add([job], 0.0)
    (offer,) = desk.offers.lost(1.0, 1.0)
    feeder.offer([offer])
    (received,) = outbox.frames()
    assert isinstance(received.frame, Ticket)
    assert (received.frame.attempt, received.frame.size_bytes) == (1, 100)
    assert received.payload == b""


def test_jobs_are_drawn_until_there_are_none(
    tmp_path: Path, desk: Desk, feeder: Feeder, outbox: Outbox
) -> None:
    feeder.start(iter(files(tmp_path, 1, 2, 3)))
    assert desk.fed.wait(30)
    assert [received.frame.job for received in outbox.frames()] == [0, 1, 2]  # type: ignore[union-attr]
    assert len(desk.offers) == 3
    assert not desk.is_over


def jobs_of_sizes(sizes: list[int]) -> list[Job]:
    return [
        Job(index, Path("in", str(index)), Path("out"), size, 0, 0o644)
        for index, size in enumerate(sizes)
    ]


@given(
    st.lists(st.integers(0, 2 * CHUNK_BYTES) | st.integers(0, BUNDLE_BYTES // 4), max_size=40),
    st.integers(1, 20),
)
def test_bundles_hold_every_job_in_order_and_as_many_as_fit(sizes: list[int], most: int) -> None:
    jobs = jobs_of_sizes(sizes)
    bundles = list(in_bundles(jobs, lambda: most))
    assert [job for bundle in bundles for job in bundle] == jobs
    for bundle, following in zip(bundles, [*bundles, []][1:], strict=True):
        size_bytes = sum(job.size_bytes for job in bundle)
        assert len(bundle) == 1 or (len(bundle) <= most and size_bytes <= BUNDLE_BYTES)
        if following and len(bundle) < most:
            assert size_bytes + following[0].size_bytes >= BUNDLE_BYTES


def test_no_job_that_was_drawn_waits_for_the_next() -> None:
    drawn: list[int] = []

    def jobs() -> Iterator[Job]:
        for job in jobs_of_sizes([1] * 9):
            drawn.append(job.index)
            yield job

    bundles = in_bundles(jobs(), lambda: 3)
    for last in (2, 5, 8):
        assert [job.index for job in next(bundles)] == [last - 2, last - 1, last]
        assert drawn[-1] == last


def test_small_images_leave_together_while_many_are_left(
    tmp_path: Path, desk: Desk, feeder: Feeder, outbox: Outbox, notes: Notes
) -> None:
    notes.so_far = Progress(2 * MOST_BUNDLES_PER_WORKER * 3 + 4, scanning=False, done=0, failed=0)
    jobs = files(tmp_path, 1, 2, 3, 4)
    jobs[1].source.unlink()
    feeder.start(iter(jobs))
    assert desk.fed.wait(30)
    bundles = [[one.frame.job for one in bundle] for bundle in outbox.bundles()]  # type: ignore[union-attr]
    assert bundles == [[0, 2], [3]]
    assert [bytes(one.payload) for one in outbox.frames()] == [
        jobs[index].source.read_bytes() for index in (0, 2, 3)
    ]
    assert notes.outcomes[1].status is Status.FAILED
    assert desk.offers.bundles == 2


def test_files_that_can_not_be_sent_fail_alone(
    tmp_path: Path, desk: Desk, feeder: Feeder, outbox: Outbox, notes: Notes
) -> None:
    jobs = files(tmp_path, 10, LIMIT + 1, 10, 10)
    jobs[0].source.unlink()
    jobs[2].source.write_bytes(b"changed since")
    feeder.start(iter(jobs))
    assert desk.fed.wait(30)
    codes = {index: outcome.failure.code for index, outcome in notes.outcomes.items()}  # type: ignore[union-attr]
    assert codes == {
        0: Code.UNREADABLE_FILE,
        1: Code.TOO_MANY_BYTES,
        2: Code.CHANGED_FILE,
    }
    assert [received.frame.job for received in outbox.frames()] == [3]  # type: ignore[union-attr]


def test_an_error_while_drawing_ends_the_run(desk: Desk, feeder: Feeder) -> None:
    def jobs() -> Iterator[Job]:
        raise OSError("the scan broke")
        yield

    feeder.start(jobs())
    assert desk.fed.wait(30)
    assert isinstance(desk.error, OSError)
    assert desk.is_over


def test_a_ticket_that_found_no_queue_is_known_to_be_lost(
    tmp_path: Path, desk: Desk, outbox: Outbox
) -> None:
    gone: list[int] = []
    outbox.missing.add(ROUTE.work_queue)
    feeder = Feeder(ROUTE, desk, outbox, lambda: gone.append(1))
    offers = desk.offers.add(files(tmp_path, 10, 20), 0.0)
    feeder.offer(offers)
    assert [offer.heard_seconds for offer in offers] == [DOUBTED, DOUBTED]
    assert gone == [1]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 17])
def test_an_image_that_is_asked_for_goes_to_who_asked_in_pieces(
    tmp_path: Path, desk: Desk, courier: Courier, outbox: Outbox, size: int
) -> None:
    (job,) = files(tmp_path, size)
    desk.offers.add([job], 0.0)
    courier.request(fetch())
    finish(courier)
    assembly, whole = Assembly(size, size), None
    for received in outbox.frames():
        assert isinstance(received.frame, Chunk)
        assert (received.frame.transfer, received.frame.size_bytes) == (5, size)
        assert whole is None
        whole = assembly.add(received.frame.offset_bytes, received.payload)
    assert whole == job.source.read_bytes()
    assert {message.routing_key for message in outbox.messages} == {QUEUE}
    assert desk.offers.find(0).heard_seconds > 0  # type: ignore[union-attr]


def test_nothing_more_is_sent_to_a_worker_that_is_gone(
    tmp_path: Path, desk: Desk, courier: Courier, outbox: Outbox
) -> None:
    (job,) = files(tmp_path, 3 * CHUNK_BYTES)
    desk.offers.add([job], 0.0)
    outbox.missing.add(QUEUE)
    courier.request(fetch())
    finish(courier)
    assert len(outbox.messages) == 1


def test_an_image_that_has_ended_is_withdrawn(courier: Courier, outbox: Outbox) -> None:
    courier.request(fetch(job=9, transfer=3))
    finish(courier)
    (received,) = outbox.frames()
    assert received.frame == Cancel("b", 9, 3)
    assert outbox.messages[0] == Message("", QUEUE, outbox.messages[0].body, mandatory=False)


def test_a_file_that_has_changed_fails_and_is_withdrawn(
    tmp_path: Path, desk: Desk, courier: Courier, outbox: Outbox, notes: Notes
) -> None:
    (job,) = files(tmp_path, 10)
    desk.offers.add([job], 0.0)
    job.source.write_bytes(b"changed since")
    courier.request(fetch())
    finish(courier)
    assert outbox.frames()[0].frame == Cancel("b", 0, 5)
    assert notes.outcomes[0].failure is not None
    assert notes.outcomes[0].failure.code is Code.CHANGED_FILE
    assert desk.error is None


@pytest.mark.parametrize(
    ("deaths", "code"),
    [
        (["worker-crashed"] * 3, Code.WORKER_CRASHED),
        (["image-timeout"] * 3, Code.IMAGE_TIMEOUT),
        (["image-timeout", "worker-crashed", "image-timeout"], Code.WORKER_CRASHED),
        ([], Code.WORKER_CRASHED),
    ],
)
def test_an_image_that_no_worker_survived_is_reported_and_withdrawn(
    tmp_path: Path,
    desk: Desk,
    courier: Courier,
    outbox: Outbox,
    notes: Notes,
    deaths: list[str],
    code: Code,
) -> None:
    (job,) = files(tmp_path, 10)
    desk.offers.add([job], 0.0)
    for number, death in enumerate(deaths):
        desk.offers.mourn(0, death, f"death {number}")
    for transfer in range(3):
        courier.request(fetch(transfer=transfer, begins=True))
    finish(courier)
    outcome: Outcome = notes.outcomes[0]
    assert outcome.status is Status.FAILED
    assert outcome.attempts == 3
    assert outcome.failure is not None
    assert outcome.failure.code is code
    assert ("death 2" if deaths else "nothing was heard") in outcome.failure.sentence
    assert isinstance(outbox.frames()[-1].frame, Cancel)


def test_what_is_in_line_is_not_put_in_line_twice(
    tmp_path: Path, desk: Desk, feeder: Feeder, outbox: Outbox
) -> None:
    (job,) = files(tmp_path, 10)
    (offer,) = desk.offers.add([job], 0.0)
    courier = Courier(desk, outbox, feeder)
    for _ in range(3):
        courier.request(fetch(transfer=1))
        courier.request(fetch(transfer=2))
        courier.request(offer)
    courier.start()
    finish(courier)
    kinds = [type(received.frame).__name__ for received in outbox.frames()]
    assert kinds == ["Chunk", "Chunk", "Ticket"]


def test_an_error_in_who_is_told_ends_the_run_and_not_just_the_courier(
    tmp_path: Path, desk: Desk, courier: Courier, notes: Notes
) -> None:
    told = threading.Event()

    def fail(_outcome: Outcome) -> None:
        told.set()
        raise OSError("the journal's disk is full")

    notes.finished = fail  # type: ignore[method-assign]
    (job,) = files(tmp_path, 10)
    desk.offers.add([job], 0.0)
    job.source.unlink()
    courier.request(fetch())
    assert told.wait(30)
    finish(courier)
    assert isinstance(desk.error, OSError)
