"""Jobs, tickets and images on their way out, from real files."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.batches import ListedJobs, jobs_of
from tests.support.frames import BATCH, SECRET
from tests.support.outbox import Outbox

from imgbatch.adjustment import Adjustment
from imgbatch.batch.model import Job
from imgbatch.batch.tally import Tally
from imgbatch.broker.topology import Topology
from imgbatch.engines.rabbitmq.reading import Reader, Route, images_per_message
from imgbatch.errors import Code, ImageError
from imgbatch.images.limits import Limits
from imgbatch.protocol.client_session import (
    Action,
    ClientSession,
    Draw,
    Fail,
    InFlightJob,
    Offer,
    SendImage,
)
from imgbatch.protocol.frames import Chunk, Ticket
from imgbatch.protocol.slicing import BUNDLE_BYTES, CHUNK_BYTES, MOST_FRAMES_PER_BUNDLE
from imgbatch.recipe import Recipe

LIMIT = 4 * CHUNK_BYTES
PIXELS = 1_000_000
ROUTE = Route(SECRET, Topology(), Recipe(Adjustment(brightness=7)), Limits(PIXELS, LIMIT))
QUEUE = "imgbatch.worker.1"


@dataclass
class Client:
    """A reader and a session, spoken to by the test."""

    jobs: ListedJobs
    outbox: Outbox = field(default_factory=Outbox)
    left: int = 0
    session: ClientSession = field(default_factory=lambda: ClientSession(BATCH))
    told: list[Action] = field(default_factory=list)
    refused: dict[int, Code] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.session.workers_changed(100)
        self.reader = Reader(
            ROUTE,
            self.jobs,
            self.outbox,
            Tally(self.left, plan_complete=True),
            self.tell,
            self.refuse,
            self.abort,
        )

    def tell(self, event: Callable[[ClientSession], list[Action]]) -> None:
        actions = event(self.session)
        self.told += [action for action in actions if not isinstance(action, Draw)]

    def refuse(self, job: Job, error: ImageError) -> None:
        self.refused[job.index] = error.code

    def abort(self, error: BaseException) -> None:
        self.errors.append(error)

    def serve(self, *requests: Draw | Offer | SendImage) -> None:
        """Have everything served, one request after the other, and the thread end."""
        for request in requests:
            self.reader.put(request)
        self.reader.start()
        self.reader.stop(30)

    def in_flight(self, *jobs: Job) -> tuple[InFlightJob, ...]:
        (offer,) = [
            action
            for action in self.session.drawn([[(job.index, job) for job in jobs]], 0.0)
            if isinstance(action, Offer)
        ]
        return offer.jobs


@pytest.fixture
def client() -> Client:
    return Client(ListedJobs([]))


def files(folder: Path, *sizes: int) -> list[Job]:
    paths = [folder / str(number) for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(itertools.islice(itertools.cycle(range(251)), size)))
    return list(jobs_of(paths, folder / "out"))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES])
def test_a_small_image_rides_in_its_ticket(tmp_path: Path, client: Client, size: int) -> None:
    (job,) = files(tmp_path, size)
    client.serve(Offer(client.in_flight(job)))
    (received,) = client.outbox.frames()
    assert received.frame == Ticket(BATCH, 0, 0, size, PIXELS, ROUTE.recipe.to_fields(), False)
    assert received.payload == job.source.read_bytes()
    assert client.outbox.messages[0].routing_key == ROUTE.work_queue
    assert client.outbox.messages[0].mandatory


@pytest.mark.parametrize(("size", "attempt"), [(CHUNK_BYTES + 1, 0), (100, 1)])
def test_a_large_image_and_one_that_is_offered_again_stay_where_they_are(
    tmp_path: Path, client: Client, size: int, attempt: int
) -> None:
    (job,) = files(tmp_path, size)
    job.source.chmod(0)
    client.serve(Offer(client.in_flight(job), attempt))
    (received,) = client.outbox.frames()
    assert isinstance(received.frame, Ticket)
    assert (received.frame.attempt, received.frame.size_bytes) == (attempt, size)
    assert received.payload == b""


def test_a_ticket_that_is_offered_again_reads_no_file(tmp_path: Path, client: Client) -> None:
    (job,) = files(tmp_path, 100)
    in_flight = client.in_flight(job)
    job.source.unlink()
    client.serve(Offer(in_flight, 1))
    assert len(client.outbox.frames()) == 1
    assert client.told == []


def test_a_file_that_can_t_be_read_fails_alone(tmp_path: Path, client: Client) -> None:
    jobs = files(tmp_path, 10, 10, 10)
    in_flight = client.in_flight(*jobs)
    jobs[0].source.unlink()
    jobs[2].source.write_bytes(b"changed since")
    client.serve(Offer(in_flight))
    codes = {it.job.index: it.error.code for it in client.told if isinstance(it, Fail)}
    assert codes == {0: Code.UNREADABLE_FILE, 2: Code.CHANGED_FILE}
    assert [received.frame.job for received in client.outbox.frames()] == [1]  # type: ignore[union-attr]


def test_a_ticket_that_found_no_queue_is_offered_again(tmp_path: Path, client: Client) -> None:
    client.outbox.missing.add(ROUTE.work_queue)
    client.serve(Offer(client.in_flight(*files(tmp_path, 10, 20))))
    offers = [it for it in client.session.tick(1.0, connected=True) if isinstance(it, Offer)]
    assert [offer.jobs[0].index for offer in offers] == [0, 1]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 17])
def test_an_image_that_is_asked_for_goes_to_who_asked_in_pieces(
    tmp_path: Path, client: Client, size: int
) -> None:
    (job,) = files(tmp_path, size)
    (in_flight,) = client.in_flight(job)
    in_flight.sending.add((QUEUE, 5))
    client.serve(SendImage(in_flight, QUEUE, 5))
    sent = client.outbox.frames()
    offsets = range(0, max(1, size), CHUNK_BYTES)
    assert [it.frame for it in sent] == [Chunk(BATCH, 0, 5, offset, size) for offset in offsets]
    assert b"".join(received.payload for received in sent) == job.source.read_bytes()
    assert {message.routing_key for message in client.outbox.messages} == {QUEUE}
    assert in_flight.sending == set()


def test_nothing_more_is_sent_to_a_worker_that_is_gone(tmp_path: Path, client: Client) -> None:
    (in_flight,) = client.in_flight(*files(tmp_path, 3 * CHUNK_BYTES))
    client.outbox.missing.add(QUEUE)
    client.serve(SendImage(in_flight, QUEUE, 5))
    assert len(client.outbox.messages) == 1


def test_an_image_that_has_changed_fails_while_it_is_sent(tmp_path: Path, client: Client) -> None:
    (job,) = files(tmp_path, 10)
    (in_flight,) = client.in_flight(job)
    job.source.write_bytes(b"changed since")
    client.serve(SendImage(in_flight, QUEUE, 5))
    (fail,) = client.told
    assert isinstance(fail, Fail)
    assert fail.error.code is Code.CHANGED_FILE
    assert client.errors == []


def messages_of(client: Client) -> list[list[int]]:
    return [[job.index for job in it.jobs] for it in client.told if isinstance(it, Offer)]


def test_jobs_are_taken_for_as_many_messages_as_there_is_room_for(tmp_path: Path) -> None:
    client = Client(ListedJobs(files(tmp_path, *[1] * 8)), left=24)
    client.serve(Draw(2, 0, 1))
    assert messages_of(client) == [[0, 1, 2], [3, 4, 5]]


def test_jobs_that_are_found_late_are_taken_when_they_are(tmp_path: Path) -> None:
    first, late = files(tmp_path, 1, 1)
    client = Client(ListedJobs([first], late))
    client.reader.put(Draw(9, 0, 1))
    client.reader.start()
    while not messages_of(client):
        client.ended.wait(0.01)
    client.jobs.find()
    while len(messages_of(client)) < 2:
        client.ended.wait(0.01)
    client.reader.stop(30)
    assert messages_of(client) == [[0], [1]]


def test_a_program_may_have_thousands_of_files_open(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(Path(os.devnull).open())
        client = Client(ListedJobs(files(tmp_path, 1)), left=8)
        client.serve(Draw(1, 0, 1))
    assert not client.errors
    assert messages_of(client) == [[0]]


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    client = Client(ListedJobs(files(tmp_path, 1, LIMIT + 1, 1)), left=16)
    client.serve(Draw(2, 0, 1))
    assert messages_of(client) == [[0], [2]]
    assert client.refused == {1: Code.TOO_MANY_BYTES}


def test_an_error_of_the_jobs_ends_the_run() -> None:
    def jobs() -> Iterator[Job]:
        raise OSError("the scan broke")
        yield

    client = Client(ListedJobs(jobs()))
    client.serve(Draw(1, 0, 1))
    assert [str(error) for error in client.errors] == ["the scan broke"]


@given(
    st.lists(st.integers(0, 2 * CHUNK_BYTES) | st.integers(0, BUNDLE_BYTES // 4), max_size=40),
    st.integers(1, MOST_FRAMES_PER_BUNDLE),
)
def test_messages_hold_every_job_in_order_and_as_many_as_fit(sizes: list[int], most: int) -> None:
    jobs = [
        Job(index, Path("in", str(index)), Path("out"), size, 0, 0o644)
        for index, size in enumerate(sizes)
    ]
    client = Client(ListedJobs(jobs), left=8 * most)
    client.serve(Draw(100, 0, 1))
    messages = [[jobs[index] for index in message] for message in messages_of(client)]
    assert [job for message in messages for job in message] == jobs
    for message, following in zip(messages, [*messages, []][1:], strict=True):
        size_bytes = sum(job.size_bytes for job in message)
        assert len(message) == 1 or (len(message) <= most and size_bytes <= BUNDLE_BYTES)
        if following and len(message) < most:
            assert size_bytes + following[0].size_bytes >= BUNDLE_BYTES


@pytest.mark.parametrize(
    ("total", "scanning", "in_flight", "images"),
    [
        (10_000, True, 0, 1),
        (10_000, False, 0, MOST_FRAMES_PER_BUNDLE),
        (100, False, 4, 6),
        (100, False, 96, 1),
    ],
)
def test_messages_hold_fewer_images_towards_the_end(
    total: int, scanning: bool, in_flight: int, images: int
) -> None:
    tally = Tally(total, plan_complete=not scanning)
    assert images_per_message(tally, Draw(9, in_flight, workers=2)) == images
