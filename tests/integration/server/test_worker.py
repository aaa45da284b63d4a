"""One worker process, spoken to in bytes by a client that is the test."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from tests.support.amqp import declare_exchanges, plain_channel
from tests.support.brokers import Broker
from tests.support.frames import enlistment, sealed, ticket, written
from tests.support.photos import encoded
from tests.support.programs import wait_until

from imgbatch.adjustment import Adjustment
from imgbatch.batch.thumbnails import jpeg_size
from imgbatch.broker.topology import Topology
from imgbatch.images.limits import Limits
from imgbatch.pipeline import process
from imgbatch.protocol.codec import Received, batch_of, decode, encode
from imgbatch.protocol.frames import (
    Cancel,
    Chunk,
    Discover,
    Fetch,
    Frame,
    InProgress,
    Result,
    Returned,
    Thumbnails,
    Ticket,
)
from imgbatch.recipe import Recipe
from imgbatch.server.messages import Drain, Leave, Serve, ServerSettings
from imgbatch.server.supervisor import WORKER
from imgbatch.storage.places import url_of
from imgbatch.storage.reference import Reference
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import WorkerPool

pytestmark = pytest.mark.broker
PATIENCE_SECONDS = 60.0
LIMIT = 100_000
PREFETCH = 3
IMAGE = encoded(".jpg")
ADJUSTMENT = Adjustment(brightness=10, contrast=20, sharpness=40)
RESULT = process(IMAGE, ADJUSTMENT)


@pytest.fixture(scope="module")
def topology() -> Topology:
    return Topology(f"test-{secrets.token_hex(4)}.")


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder that the worker may read and write itself."""
    folder = tmp_path_factory.mktemp("share").resolve()
    (folder / "a.jpg").write_bytes(IMAGE)
    return folder


@pytest.fixture(scope="module")
def pool(broker: Broker, topology: Topology, share: Path) -> Iterator[WorkerPool]:
    settings = ServerSettings(
        broker.url,
        allow=(share,),
        prefix=topology.prefix,
        prefetch=PREFETCH,
        limits=Limits(max_bytes=LIMIT),
    )
    pool = WorkerPool(ForkServer(), WORKER, (settings, "machine-1"), farewell=Drain(), logs=True)
    (worker,) = pool.fill(1)
    while not worker.ready:
        list(pool.listen(PATIENCE_SECONDS))  # nothing is told of kernels that are compiled
        assert worker in pool.workers
    yield pool
    pool.close()


class Client:
    """A batch of one worker's, whose client is the test."""

    def __init__(self, channel: BlockingChannel, topology: Topology) -> None:
        self.channel = channel
        self.topology = topology
        self.heard: deque[Received] = deque()
        self.secret = secrets.token_bytes(32)
        self.batch = batch_of(self.secret)
        self.secrets = {self.batch: self.secret}
        self.queue = topology.work_queue(self.secret)
        arguments = {"x-expires": 60_000}
        channel.queue_declare(self.queue, durable=True, arguments=arguments)
        declare_exchanges(channel, topology)
        channel.queue_bind(self.queue, topology.batches, self.queue)
        self.inbox = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(self.inbox, topology.to_clients, topology.topic(self.secret))

    def ticket(self, **changes: Any) -> Ticket:
        fields = {
            "batch": self.batch,
            "size_bytes": len(IMAGE),
            "recipe": Recipe(ADJUSTMENT).to_fields(),
        }
        return ticket(**(fields | changes))

    def offer(self, frame: Ticket, image: bytes = b"") -> None:
        self.put(self.written(frame, image))

    def written(self, frame: Frame, payload: bytes = b"") -> bytes:
        return encode(frame, payload, self.secrets)

    def put(self, body: bytes) -> None:
        self.channel.basic_publish(self.topology.batches, self.queue, body)

    def answer(self, fetch: Fetch, image: bytes) -> None:
        chunk = Chunk(fetch.batch, fetch.job, fetch.transfer, 0, len(image))
        self.say(fetch, chunk, image)

    def say(self, fetch: Fetch, frame: Frame, payload: bytes = b"") -> None:
        body = self.written(frame, payload)
        self.channel.basic_publish(self.topology.to_servers, fetch.queue, body)

    def hear(self) -> Received:
        """Return the next frame that the worker sends to this client."""
        while not self.heard:
            self.heard.extend(self.hear_message())
        return self.heard.popleft()

    def hear_message(self) -> list[Received]:
        """Return the frames of the next message, unless it only says what the worker holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            body = self.channel.basic_get(self.inbox, auto_ack=True)[2]
            bundle = [] if body is None else decode(body, self.secrets)
            if bundle and not isinstance(bundle[0].frame, InProgress):
                return bundle
            assert time.monotonic() < deadline, "the worker says nothing"
            time.sleep(0.01)

    def expect(self, kind: type) -> Any:
        frame = self.hear().frame
        assert isinstance(frame, kind), frame
        return frame

    def expect_result(self, job: int) -> None:
        received = self.hear()
        assert isinstance(received.frame, Result), received.frame
        assert (received.frame.job, received.frame.kind) == (job, "done")
        assert received.payload == RESULT

    def redeliver(self, frame: Ticket, image: bytes = b"") -> None:
        """Offer a ticket as one that another worker had before."""
        self.put_back(self.written(frame, image))

    def put_back(self, body: bytes) -> None:
        self.put(body)
        method, _, _ = self.channel.basic_get(self.queue)
        self.channel.basic_reject(method.delivery_tag, requeue=True)

    def waiting(self) -> int:
        """Return how many tickets are in the queue, in nobody's hands."""
        return int(self.channel.queue_declare(self.queue, passive=True).method.message_count)

    def expect_free_hands(self) -> None:
        """Have the worker take as many messages as it may, which it does if it holds no other."""
        jobs = range(100, 100 + PREFETCH)
        for job in jobs:
            self.offer(self.ticket(job=job))
        fetches = [self.expect(Fetch) for _ in jobs]
        assert {fetch.job for fetch in fetches} == set(jobs)
        for fetch in fetches:
            self.say(fetch, Cancel(fetch.batch, fetch.job, fetch.transfer))


@pytest.fixture
def client(broker: Broker, topology: Topology, pool: WorkerPool) -> Iterator[Client]:
    with plain_channel(broker.url) as channel:
        client = Client(channel, topology)
        yield client
        pool.workers[0].send(Leave(client.batch))
        channel.queue_delete(client.queue)


@pytest.fixture
def serve(pool: WorkerPool, client: Client) -> Callable[[], None]:
    return lambda: pool.workers[0].send(Serve(client.batch, client.secret))


def test_an_image_in_its_ticket_comes_back_as_the_pipeline_makes_it(
    client: Client, serve: Callable[[], None]
) -> None:
    serve()
    client.offer(client.ticket(job=1), IMAGE)
    received = client.hear()
    assert isinstance(received.frame, Result)
    assert (received.frame.kind, received.frame.machine) == ("done", "machine-1")
    assert (received.frame.width_pixels, received.frame.height_pixels) == (48, 32)
    assert received.payload == RESULT


def test_tickets_of_one_message_are_each_answered(
    client: Client, serve: Callable[[], None]
) -> None:
    bad = client.ticket(job=1, recipe={"brightness": 9999})
    bundle = [client.ticket(job=0), bad, client.ticket(job=2, size_bytes=len(IMAGE))]
    client.put(b"".join(client.written(frame, IMAGE) for frame in bundle))
    serve()
    client.expect_result(0)
    assert client.expect(Result).kind == "failed"
    client.expect_result(2)
    client.expect_free_hands()


def test_the_results_of_small_images_come_in_one_message(
    client: Client, serve: Callable[[], None]
) -> None:
    client.put(b"".join(client.written(client.ticket(job=job), IMAGE) for job in range(3)))
    serve()
    bundle = client.hear_message()
    assert [received.frame.job for received in bundle] == [0, 1, 2]  # type: ignore[union-attr]
    assert [received.payload for received in bundle] == [RESULT] * 3


def test_thumbnails_come_with_their_result_where_the_ticket_wants_them(
    client: Client, serve: Callable[[], None]
) -> None:
    tickets = [client.ticket(job=job, wants_thumbnails=job == 1) for job in range(3)]
    client.put(b"".join(client.written(ticket, IMAGE) for ticket in tickets))
    serve()
    first, thumbnails, *others = client.hear_message()
    assert [received.payload for received in (first, *others)] == [RESULT] * 3
    assert isinstance(thumbnails.frame, Thumbnails)
    assert isinstance(others[0].frame, Result)
    assert (thumbnails.frame.job, thumbnails.frame.transfer) == (1, others[0].frame.transfer)
    pair = thumbnails.payload[: thumbnails.frame.before_bytes]
    assert jpeg_size(bytes(pair)) == (48, 32)
    client.expect_free_hands()


def test_the_result_of_an_image_that_another_worker_had_comes_alone(
    client: Client, serve: Callable[[], None]
) -> None:
    """Kept for a bundle, it would be lost with this worker if the next image kills it, too."""
    client.put_back(b"".join(client.written(client.ticket(job=job), IMAGE) for job in range(2)))
    serve()
    for job in range(2):
        client.answer(client.expect(Fetch), IMAGE)
        client.expect_result(job)


def test_tickets_of_one_message_that_another_worker_had_are_each_asked_for(
    client: Client, serve: Callable[[], None]
) -> None:
    """Those that it had done already are withdrawn, whatever becomes of the others."""
    bodies = [client.written(client.ticket(job=job), IMAGE) for job in range(3)]
    client.put_back(b"".join(bodies))
    serve()
    for job in range(3):
        fetch = client.expect(Fetch)
        assert (fetch.job, fetch.begins) == (job, True)
        if job == 1:
            client.answer(fetch, IMAGE)
            client.expect_result(1)
        else:
            client.say(fetch, Cancel(fetch.batch, fetch.job, fetch.transfer))
    client.expect_free_hands()


def test_a_message_comes_back_with_all_its_tickets_if_one_was_not_begun(
    client: Client, pool: WorkerPool, serve: Callable[[], None]
) -> None:
    bundle = [(client.ticket(job=1), IMAGE), (client.ticket(job=2), b"")]
    client.put(b"".join(client.written(*one) for one in bundle))
    serve()
    jobs = {client.hear().frame.job for _ in range(2)}  # type: ignore[union-attr]
    assert jobs == {1, 2}  # the result of one, and that the other is asked for
    assert client.waiting() == 0
    pool.workers[0].send(Leave(client.batch))
    assert client.expect(Returned).jobs == (2,)
    wait_until(lambda: client.waiting() == 1, "the message waits again")


def test_a_message_with_one_damaged_ticket_is_not_believed_at_all(
    client: Client, serve: Callable[[], None]
) -> None:
    body = bytearray(b"".join(client.written(client.ticket(job=job), IMAGE) for job in (1, 2)))
    body[-1] ^= 1
    serve()
    client.put(bytes(body))
    client.offer(client.ticket(job=3), IMAGE)
    client.expect_result(3)
    client.expect_free_hands()


def test_an_image_that_did_not_ride_along_is_fetched(
    client: Client, serve: Callable[[], None]
) -> None:
    serve()
    client.offer(client.ticket(job=2))
    fetch = client.expect(Fetch)
    assert not fetch.begins
    assert client.topology.is_ours(fetch.queue)
    client.answer(fetch, IMAGE)
    client.expect_result(2)


def test_a_ticket_that_another_worker_had_is_begun_with_the_clients_consent(
    client: Client, serve: Callable[[], None]
) -> None:
    client.redeliver(client.ticket(job=3), IMAGE)
    serve()
    fetch = client.expect(Fetch)
    assert fetch.begins
    client.answer(fetch, IMAGE)
    client.expect_result(3)


def test_a_ticket_that_was_offered_again_is_begun_with_the_clients_consent(
    client: Client, serve: Callable[[], None]
) -> None:
    serve()
    client.offer(client.ticket(job=4, attempt=1), IMAGE)
    fetch = client.expect(Fetch)
    assert fetch.begins
    client.say(fetch, Cancel(fetch.batch, fetch.job, fetch.transfer))
    client.offer(client.ticket(job=5), IMAGE)
    client.expect_result(5)


def test_a_damaged_piece_is_asked_for_again(client: Client, serve: Callable[[], None]) -> None:
    serve()
    client.offer(client.ticket(job=6))
    fetch = client.expect(Fetch)
    body = bytearray(client.written(Chunk(fetch.batch, 6, fetch.transfer, 0, len(IMAGE)), IMAGE))
    body[-10] ^= 1
    client.channel.basic_publish(client.topology.to_servers, fetch.queue, bytes(body))
    again = client.expect(Fetch)
    assert (again.job, again.begins, again.transfer) == (6, False, fetch.transfer)
    client.answer(again, IMAGE)
    client.expect_result(6)


def test_nothing_in_a_damaged_ticket_is_believed(client: Client, serve: Callable[[], None]) -> None:
    """Least of all its recipe, with which the output would look right and be wrong."""
    body = client.written(client.ticket(job=7), IMAGE)
    position = body.index(b"brightness") + len(b"brightness")
    assert body[position] == 10
    serve()
    client.put(body[:position] + b"\x0b" + body[position + 1 :])
    client.offer(client.ticket(job=8), IMAGE)
    client.expect_result(8)
    assert client.waiting() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"random bytes of another program",
        b"ib\x03" + bytes(99),
        encode(Discover("imgbatch.x")),
        written(enlistment()),
        written(ticket(batch="somebody else's")),
        sealed(b"\x91" * 60_000),
    ],
    ids=["empty", "garbage", "another version", "another kind", "a lease", "forged", "nested"],
)
def test_what_is_no_ticket_of_the_batch_is_dropped(
    client: Client, serve: Callable[[], None], body: bytes
) -> None:
    serve()
    for _ in range(5):
        client.put(body)
    client.offer(client.ticket(job=9), IMAGE)
    client.expect_result(9)
    assert client.waiting() == 0


def test_a_ticket_of_who_does_not_know_the_secret_is_dropped(
    client: Client, serve: Callable[[], None]
) -> None:
    serve()
    for key in (bytes(32), secrets.token_bytes(32)):
        client.put(encode(client.ticket(job=9), IMAGE, {client.batch: key}))
    client.offer(client.ticket(job=10), IMAGE)
    client.expect_result(10)
    client.expect_free_hands()


def test_a_recipe_that_makes_no_sense_fails_its_image_only(
    client: Client, serve: Callable[[], None]
) -> None:
    serve()
    client.offer(client.ticket(job=10, recipe={"brightness": 9999}), IMAGE)
    result = client.expect(Result)
    assert result.kind == "failed"
    client.offer(client.ticket(job=11), IMAGE)
    client.expect_result(11)


@pytest.mark.parametrize("had_before", [False, True])
def test_what_is_too_large_is_refused_unseen(
    client: Client, serve: Callable[[], None], had_before: bool
) -> None:
    offer = client.redeliver if had_before else client.offer
    offer(client.ticket(job=12, size_bytes=LIMIT + 1))
    serve()
    result = client.expect(Result)
    assert (result.kind, result.code) == ("failed", "too-many-bytes")
    assert "--max-bytes" in result.sentence


@pytest.mark.parametrize("had_before", [False, True])
def test_an_empty_file_is_told_as_one(
    client: Client, serve: Callable[[], None], had_before: bool
) -> None:
    frame = client.ticket(job=13, size_bytes=0)
    if had_before:
        client.redeliver(frame)
        serve()
        client.answer(client.expect(Fetch), b"")
    else:
        serve()
        client.offer(frame)
    assert client.expect(Result).code == "empty-file"


def test_garbage_in_a_workers_own_queue_is_passed_over(
    client: Client, serve: Callable[[], None]
) -> None:
    serve()
    client.offer(client.ticket(job=14))
    fetch = client.expect(Fetch)
    lies = [
        Chunk(fetch.batch, 14, fetch.transfer, 0, len(IMAGE) + 1),
        Chunk(fetch.batch, 14, fetch.transfer, 7, len(IMAGE)),
        Chunk(fetch.batch, 15, fetch.transfer, 0, len(IMAGE)),
        Cancel(fetch.batch, 15, fetch.transfer),
        client.ticket(job=14),
    ]
    for lie in lies:
        client.say(fetch, lie, b"x")
    cancel = Cancel(fetch.batch, 14, fetch.transfer)
    for key in (bytes(32), secrets.token_bytes(32)):
        forgery = encode(cancel, b"", {fetch.batch: key})
        client.channel.basic_publish(client.topology.to_servers, fetch.queue, forgery)
    client.channel.basic_publish(client.topology.to_servers, fetch.queue, b"garbage")
    client.answer(fetch, IMAGE)
    client.expect_result(14)


def test_a_batch_that_is_left_gets_back_what_was_not_begun(
    client: Client, pool: WorkerPool, serve: Callable[[], None]
) -> None:
    serve()
    for job in (15, 16):
        client.offer(client.ticket(job=job))
    assert {client.expect(Fetch).job for _ in range(2)} == {15, 16}
    pool.workers[0].send(Leave(client.batch))
    assert sorted(client.expect(Returned).jobs) == [15, 16]
    wait_until(lambda: client.waiting() == 2, "both tickets wait again")


def test_the_worker_has_lived_through_all_of_this(pool: WorkerPool) -> None:
    list(pool.listen(0.0))
    assert pool.ready == 1


def reference(path: Path, target: Path) -> Reference:
    seen = path.stat()
    figures = seen.st_size, seen.st_mtime_ns, 0o644
    return Reference(url_of(path), url_of(target), url_of(path.parent), *figures)


def test_a_ticket_may_only_name_an_image_and_where_its_result_is_to_go(
    client: Client, serve: Callable[[], None], share: Path
) -> None:
    serve()
    named = reference(share / "a.jpg", share / "out" / "a.png")
    client.offer(client.ticket(size_bytes=0, reference=named.to_fields()))
    received = client.hear()
    assert isinstance(received.frame, Result)
    assert (received.frame.kind, received.frame.size_bytes) == ("written", len(RESULT))
    assert received.frame.notes == ("name-says-another-format",)
    assert received.payload == b""
    assert (share / "out" / "a.png").read_bytes() == RESULT
    client.offer(client.ticket(size_bytes=0, reference=named.to_fields()))
    assert client.expect(Result).code == "output-exists"


def test_an_image_that_is_named_again_is_begun_with_consent_and_written_again(
    client: Client, serve: Callable[[], None], share: Path
) -> None:
    serve()
    (share / "b.jpg").write_bytes(b"what a worker wrote that died")
    named = reference(share / "a.jpg", share / "b.jpg").to_fields()
    client.offer(client.ticket(size_bytes=0, attempt=1, reference=named))
    client.answer(client.expect(Fetch), b"")
    assert client.expect(Result).kind == "written"
    assert (share / "b.jpg").read_bytes() == RESULT


@pytest.mark.parametrize("source", [True, False])
def test_half_of_it_may_travel(
    client: Client, serve: Callable[[], None], share: Path, source: bool
) -> None:
    serve()
    named = reference(share / "a.jpg", share / f"half-{source}.jpg")
    half = replace(named, target="") if source else replace(named, source="", size_bytes=0)
    size_bytes = 0 if source else len(IMAGE)
    image = b"" if source else IMAGE
    client.offer(client.ticket(size_bytes=size_bytes, reference=half.to_fields()), image)
    received = client.hear()
    assert isinstance(received.frame, Result)
    assert received.frame.kind == ("done" if source else "written")
    assert received.payload == (RESULT if source else b"")


def test_places_that_are_not_allowed_are_neither_read_nor_written(
    client: Client, serve: Callable[[], None], share: Path, tmp_path: Path
) -> None:
    serve()
    (tmp_path / "secret.jpg").write_bytes(IMAGE)
    (share / "link").symlink_to(tmp_path)
    inside, outside = share / "a.jpg", tmp_path / "secret.jpg"
    wrong = [
        replace(reference(outside, share / "x.jpg"), folder=url_of(share)),
        reference(inside, tmp_path / "x.jpg"),
        reference(inside, share / "link" / "x.jpg"),
        replace(reference(inside, inside), source=f"file://{share}/link/secret.jpg"),
        replace(reference(inside, inside), source=f"file://{share}-evil/a.jpg"),
        replace(reference(inside, inside), source="s3://bucket/a.jpg"),
    ]
    for named in wrong:
        client.offer(client.ticket(size_bytes=0, reference=named.to_fields()))
        assert client.expect(Result).code == "place-refused"
    assert [path.name for path in tmp_path.iterdir()] == ["secret.jpg"]
    assert not (share / "x.jpg").exists()
    fields = reference(inside, share / "x.jpg").to_fields()
    for nonsense in ({"source": 7}, fields | {"mode": -1}, fields | {"modified_ns": "soon"}):
        client.offer(client.ticket(size_bytes=0, reference=nonsense))
        assert client.expect(Result).code == "bad-option"
    client.offer(client.ticket(), IMAGE)
    client.expect_result(7)
