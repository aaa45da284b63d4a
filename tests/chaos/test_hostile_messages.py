"""Messages that nobody of ours would send: garbage, replays, gaps, surplus, lies.

Nothing of it may cost more than a line in a log.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pika
import pytest
from msgspec.structs import replace
from tests.support.amqp import declare_exchanges
from tests.support.brokers import Broker, Place
from tests.support.frames import (
    SECRET,
    announcement,
    enlistment,
    fields_of,
    forged,
    nonsense,
    result,
    sealed,
    seen,
    ticket,
    written,
)
from tests.support.oracle import FACTORS, check
from tests.support.photos import encoded
from tests.support.programs import Programs, wait_until
from tests.support.slow_photos import large, slow

from imgbatch.broker.topology import DISCOVER, STATUS, Topology
from imgbatch.protocol.codec import decode, encode
from imgbatch.protocol.frames import (
    BatchStatus,
    Cancel,
    Chunk,
    Discover,
    Fetch,
    Frame,
    InProgress,
    Lease,
    LeaseEnd,
    LeaseRefused,
    Result,
    Returned,
    ServerStatus,
    Ticket,
    WorkerCrashed,
)

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
TOPOLOGY = Topology()
EVERYWHERE = (
    (TOPOLOGY.to_clients, ""),
    (TOPOLOGY.to_clients, STATUS),
    (TOPOLOGY.to_servers, DISCOVER),
    (TOPOLOGY.batches, DISCOVER),
)
"""Exchanges and routing keys; in place of an empty one, a client's topic."""


class Spy:
    """Reads along what is sent to clients, and publishes what it likes.

    It may do all that RabbitMQ's own `guest` may.
    """

    def __init__(self, place: Place, broker: Broker) -> None:
        self._place = place
        self._broker = broker
        self._topics: set[str] = set()
        self._connection = pika.BlockingConnection(pika.URLParameters(place.administrators_url))
        self._channel = self._connection.channel()
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        declare_exchanges(self._channel, TOPOLOGY)

    def next(self) -> tuple[str, bytes] | None:
        """Return the next message to a client, with its topic; None if there is none for now."""
        if not self._topics:
            self._bind()
        for method, _, body in self._channel.consume(
            self._queue, auto_ack=True, inactivity_timeout=0.2
        ):
            return None if method is None else (method.routing_key, body)
        raise AssertionError("the connection ended")

    def _bind(self) -> None:
        words = ("list_bindings", "-p", self._place.path[1:], "--no-table-headers")
        lines = self._broker.control(*words, "source_name", "routing_key").splitlines()
        for source, _, key in (line.partition("\t") for line in lines):
            if source == TOPOLOGY.to_clients and key.startswith("imgbatch.client."):
                self._topics.add(key)
                self._channel.queue_bind(self._queue, TOPOLOGY.to_clients, key)

    def wait(self) -> tuple[str, bytes]:
        """Return the next message to a client, with its topic."""
        while (message := self.next()) is None:
            pass
        return message

    def publish(self, exchange: str, routing_key: str, body: bytes) -> None:
        self._channel.basic_publish(exchange, routing_key, body)

    def learn_secret(self, machine: dict[str, Any]) -> Lease:
        """Return a lease of the run that is going on: all that a server gets to know.

        It is given to whom announces itself as a server, which is for the broker's users to forbid.
        """
        inbox = TOPOLOGY.private_name("server")
        self._channel.queue_declare(inbox, exclusive=True)
        self._channel.queue_bind(inbox, TOPOLOGY.to_servers, inbox)
        status = announcement(machine="mole", queue=inbox, procs=1, digest=machine["digest"])
        leases: list[bytes] = []

        def take() -> bool:
            self.publish(TOPOLOGY.to_clients, STATUS, written(status))
            body = self._channel.basic_get(inbox, auto_ack=True)[2]
            leases.extend([] if body is None else [body])
            return bool(leases)

        wait_until(take, "a client leases the mole")
        self.publish(TOPOLOGY.to_clients, STATUS, written(replace(status, leaving=True)))
        (received,) = decode(leases[0])
        assert isinstance(received.frame, Lease)
        return received.frame

    def close(self) -> None:
        self._connection.close()


def junk() -> Iterator[bytes]:
    """Yield messages that are no frames, or worse."""
    noise = random.Random(0)
    yield b""
    yield b"ib"
    yield noise.randbytes(100)
    yield noise.randbytes(200_000)
    yield msgpack.packb({"a": 1})
    yield sealed(b"\x91" * 60_000)  # lists in lists
    yield sealed(b"\x82\xa5frame\xdb\xff\xff\xff\xff")  # a string of 4 GB
    yield sealed(b"\xdf\xff\xff\xff\xff\xa5frame")  # a map of 2**32 entries
    yield b'{"image": "gASVAAAAAA=="}'
    yield written(InProgress("b", (1,), "m"))[:-3]
    yield b"\0" * (15 * 1024 * 1024)


def queues(broker: Broker, place: Place) -> list[str]:
    words = ("list_queues", "-p", place.path[1:], "--no-table-headers", "name")
    return [name for name in broker.control(*words).split() if name.startswith("imgbatch.")]


def test_garbage_in_every_queue_and_exchange_disturbs_nobody(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Nothing is lost."""
    slow(tmp_path / "in", 60, 100)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(5)
    spy = Spy(place, broker)
    topic, _ = spy.wait()
    kinds = set()
    for name in queues(broker, place):
        kinds.add(name.split(".")[1])
        for body in junk():
            spy.publish("", name, body)
    for exchange, key in EVERYWHERE:
        for body in junk():
            spy.publish(exchange, key or topic, body)
    spy.close()
    assert kinds == {"batch", "client", "listener", "server", "worker"}
    assert client.wait() == 0, client.said()
    check(client)
    assert server.is_alive
    assert "starting over" not in server.said() + client.said()
    assert "was killed" not in server.said()


FUZZ_FRAMES = 100_000


def of_batch(lease: Lease, frame: Frame, payload: bytes) -> bytes:
    """Return a frame as a server with a lease may write it, of images that there are not."""
    changes = {"batch": lease.batch, "job": 10**9, "jobs": (10**9,)}
    if isinstance(frame, Lease | LeaseEnd | Discover | ServerStatus | BatchStatus):
        return written(frame, payload)
    fields = {name: it for name, it in changes.items() if name in frame.__struct_fields__}
    return encode(replace(frame, **fields), payload, {lease.batch: lease.secret})


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_hundred_thousand_frames_of_well_formed_nonsense_harm_no_run(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Sent to every queue and exchange during a run. Memory stays bounded. Nothing is lost."""
    slow(tmp_path / "in", 250, 100)
    server = programs.server(place.url, procs=2, fragile=True)
    (machine,) = wait_for_machine(place, programs)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(3)
    spy = Spy(place, broker)
    topic, _ = spy.wait()
    routes = [("", name) for name in queues(broker, place)]
    routes += [(exchange, key or topic) for exchange, key in EVERYWHERE]
    noise = random.Random(0)
    own = enlistment()
    spy.publish("", machine["queue"], written(own))
    bodies = [written(*nonsense(noise)) for _ in range(1_000)]
    bodies += [of_batch(own, *nonsense(noise)) for _ in range(500)]
    lease = spy.learn_secret(machine)
    bodies += [of_batch(lease, *nonsense(noise)) for _ in range(500)]
    for number in range(FUZZ_FRAMES):
        spy.publish(*routes[number % len(routes)], noise.choice(bodies))
    spy.close()
    assert client.wait() == 0, client.said()
    check(client)
    pids = [server.pid, *server.workers()]
    assert max(map(resident_bytes, pids)) < 400 * 1024**2
    assert server.is_alive
    assert "starting over" not in server.said() + client.said()
    assert "was killed" not in server.said()
    again = programs.client(tmp_path / "in", tmp_path / "out2", *FACTORS, broker=place.url)
    assert again.wait() == 0, again.said()
    check(again)


LONG = "imgbatch." + "é" * 190


def test_names_that_no_queue_can_have_are_passed_over_and_cost_no_connection(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Each is well below the limit on characters, and above AMQP's on bytes. Nothing is lost."""
    slow(tmp_path / "in", 60, 100)
    server = programs.server(place.url, procs=2, fragile=True)
    (machine,) = wait_for_machine(place, programs)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(3)
    spy = Spy(place, broker)
    topic, _ = spy.wait()
    lease = spy.learn_secret(machine)
    fetch = Fetch(lease.batch, 10**9, "imgbatch.worker.nobody", 1, False, "nobody")
    for changes in ({"batch": LONG}, {"batch": "imgbatch." + "q" * 191}):
        spy.publish("", machine["queue"], forged(enlistment(), SECRET, **changes))
    for queue in (LONG, "imgbatch.#"):
        spy.publish(TOPOLOGY.to_clients, topic, forged(fetch, lease.secret, queue=queue))
    status = announcement(machine="liar", procs=1, digest=machine["digest"])
    spy.publish(TOPOLOGY.to_clients, STATUS, forged(status, queue=LONG))
    waiting = ticket(batch=lease.batch, job=10**9)
    spy.publish(
        "", TOPOLOGY.work_queue(lease.secret), forged(waiting, lease.secret, recipe={LONG: 1})
    )
    spy.close()
    assert client.wait() == 0, client.said()
    check(client)
    assert server.is_alive
    said = server.said() + client.said()
    assert "reconnecting" not in said
    assert "was lost" not in said
    assert "starting over" not in said


def test_a_lease_on_a_queue_that_may_not_be_used_costs_other_batches_nothing(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Not even the tickets that their workers hold: no image is begun twice. Nothing is lost."""
    slow(tmp_path / "in", 60, 100)
    server = programs.server(place.url, procs=2, fragile=True)
    (machine,) = wait_for_machine(place, programs)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(3)
    with pika.BlockingConnection(pika.URLParameters(place.administrators_url)) as connection:
        channel = connection.channel()
        secrets = [bytes([number]) * 32 for number in range(2)]
        locked, other = map(TOPOLOGY.work_queue, secrets)
        channel.queue_declare(locked, exclusive=True)
        channel.queue_declare(other, durable=True, arguments={"x-expires": 99_000})
        for secret in secrets:
            hostile = encode(enlistment(secret=secret))
            channel.basic_publish("", machine["queue"], hostile)
        assert client.wait() == 0, client.said()
        channel.queue_delete(other)
    report = check(client)
    assert {image["attempts"] for image in report["files"]} == {1}
    assert "was lost" not in server.said()


def wait_for_machine(place: Place, programs: Programs) -> list[dict[str, Any]]:
    programs.wait_for_machines(place.url, 1)
    return programs.machines(place.url)


@contextmanager
def meddling(place: Place, broker: Broker, meddle) -> Iterator[None]:
    """Answer what is sent to clients with other messages, for as long as the block lasts."""
    spy = Spy(place, broker)
    ending = threading.Event()

    def read() -> None:
        while not ending.is_set():
            message = spy.next()
            if message is not None:
                for exchange, routing_key, answer in meddle(*message):
                    spy.publish(exchange, routing_key, answer)
        spy.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        ending.set()
        reader.join()


def lies_about(frame: Frame) -> Iterator[tuple[Frame, bytes]]:
    """Yield frames that contradict one that was sent."""
    payload = b"\xff\xd8\xff" * 300
    if isinstance(frame, Chunk):
        end = frame.size_bytes
        yield replace(frame, offset_bytes=end), payload  # beyond the end
        yield replace(frame, offset_bytes=min(end, frame.offset_bytes + 7)), payload  # a gap
        yield replace(frame, size_bytes=2**50), payload
        yield replace(frame, transfer=frame.transfer + 1), payload  # of another sending
        yield replace(frame, job=10**9), payload
        yield replace(frame, batch="another"), payload
    if isinstance(frame, Result):
        yield replace(frame, transfer=frame.transfer + 1, size_bytes=2**32), payload
        yield replace(frame, job=10**9), payload
        yield replace(frame, batch="another"), payload
        yield WorkerCrashed(frame.batch, 10**9, "nobody", "worker-crashed", "a lie"), b""
        yield Returned(frame.batch, (10**9,), "nobody"), b""
        yield Fetch(frame.batch, frame.job, "imgbatch.worker.nobody", 1, False, "nobody"), b""
        yield Fetch(frame.batch, 10**9, "amq.gen-somebody", 1, True, "nobody"), b""
        yield enlistment(), b""


def test_replayed_reordered_and_contradicting_results_change_no_byte(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """By a server of the run's. Time lost: 30 s where a lie, or a replayed beginning, took the
    place of a result that was arriving."""
    large(tmp_path / "in", 24)
    server = programs.server(place.url, procs=2, fragile=True)
    (machine,) = wait_for_machine(place, programs)
    held_back: list[tuple[str, bytes]] = []
    lied_about: set[tuple[str, int]] = set()
    ours: set[bytes] = set()
    secrets: dict[str, bytes] = {}

    def meddle(topic: str, body: bytes) -> Iterator[tuple[str, str, bytes]]:
        if body in ours or not secrets:
            return
        frame = decode(body, secrets)[-1].frame
        subject = type(frame).__name__, getattr(frame, "job", 0)
        if subject not in lied_about:
            lied_about.add(subject)
            for lie, payload in lies_about(frame):
                message = encode(lie, payload, secrets | {"another": bytes(32)})
                ours.add(message)
                yield TOPOLOGY.to_clients, topic, message
        held_back.append((topic, body))
        if len(held_back) == 8:
            ours.update(late for _, late in held_back)
            for late_topic, late in reversed(held_back):
                yield TOPOLOGY.to_clients, late_topic, late
            held_back.clear()

    with meddling(place, broker, meddle):
        client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
        client.wait_for_results(1)
        spy = Spy(place, broker)
        lease = spy.learn_secret(machine)
        spy.close()
        secrets[lease.batch] = lease.secret
        assert client.wait() == 0, client.said()
        check(client)
    assert ours
    assert server.is_alive


def test_tickets_and_chunks_that_come_twice_are_done_once(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: that of the images which two workers began with at the same time."""
    large(tmp_path / "in", 30, 300)  # of 100 ms, the run could end before enough was doubled
    server = programs.server(place.url, procs=2, fragile=True)
    (machine,) = wait_for_machine(place, programs)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(3)
    (work_queue,) = (name for name in queues(broker, place) if name.startswith("imgbatch.batch."))
    spy, doubled = Spy(place, broker), 0
    lease = spy.learn_secret(machine)
    secrets = {lease.batch: lease.secret}
    with pika.BlockingConnection(pika.URLParameters(place.administrators_url)) as connection:
        channel = connection.channel()
        while client.is_alive and doubled < 12:
            method, _, ticket = channel.basic_get(work_queue)
            if method is not None:
                for _ in range(2):
                    channel.basic_publish("", work_queue, ticket)
                channel.basic_ack(method.delivery_tag)
                doubled += 1
            message = spy.next()
            frame = None if message is None else decode(message[1], secrets)[-1].frame
            if isinstance(frame, Fetch):  # a false piece before the right ones, or among them
                piece = Chunk(frame.batch, frame.job, frame.transfer, 5, 2_000_000)
                spy.publish("", frame.queue, encode(piece, b"nonsense", secrets))
                first = Chunk(frame.batch, frame.job, frame.transfer, 0, 99)
                spy.publish("", frame.queue, encode(first, b"\0" * 100, secrets))
    spy.close()
    assert client.wait() == 0, client.said()
    report = check(client)
    assert doubled > 5
    assert sum(machine["images"] for machine in report["machines"]) == 30
    assert server.is_alive


def forgeries(batch: str, frames: list[Frame]) -> Iterator[tuple[str, Frame, bytes]]:
    """Yield what would do harm if it counted: to whom it is said, the frame, its payload."""
    evil = encoded(".jpg", seed=666)
    for frame in frames:
        job = getattr(frame, "job", 0)
        yield "client", result(batch=batch, job=job, size_bytes=len(evil)), evil
        yield "client", WorkerCrashed(batch, job, "liar", "worker-crashed", "a lie"), b""
        yield "client", Returned(batch, (job,), "liar"), b""
        yield "client", InProgress(batch, tuple(range(100)), "liar"), b""
        yield "client", LeaseRefused(batch, "liar", "h", "a lie"), b""
        if isinstance(frame, Fetch):
            fetch = replace(frame, queue="imgbatch.worker.spy", begins=True)
            yield "client", fetch, b""
            yield frame.queue, Cancel(batch, job, frame.transfer), b""
            yield frame.queue, Chunk(batch, job, frame.transfer, 0, len(evil)), evil
        if isinstance(frame, Result):
            yield "client", Chunk(batch, job, frame.transfer, 0, frame.size_bytes), evil
            lie = replace(frame, size_bytes=len(evil), kind="failed", code="truncated-image")
            yield "client", lie, b""
    yield "server", LeaseEnd(batch, bytes(32)), b""
    yield "server", replace(enlistment(secret=bytes(32)), batch=batch), b""
    yield "work", ticket(batch=batch, job=1), evil


def test_a_stranger_who_knows_all_but_the_secret_changes_nothing(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """It has an account, reads along what is sent to clients, and writes into every queue. Nothing
    is lost, no image is begun twice, and none is sent to it."""
    large(tmp_path / "in", 20, 100)
    server = programs.server(place.url, procs=2, fragile=True)
    (machine,) = wait_for_machine(place, programs)
    sent: set[bytes] = set()
    routes = {"server": ("", machine["queue"])}

    def meddle(topic: str, body: bytes) -> Iterator[tuple[str, str, bytes]]:
        frames = seen(body)
        if body in sent or isinstance(frames[0], Discover | ServerStatus | BatchStatus):
            return
        batch = frames[0].batch
        routes.setdefault("client", (TOPOLOGY.to_clients, topic))
        if "work" not in routes:
            names = (name for name in queues(broker, place) if ".batch." in name)
            routes["work"] = "", next(names)
        for receiver, frame, payload in forgeries(batch, frames):
            for key in (bytes(32), b"?" * 32):
                message = sealed(msgpack.packb(fields_of(frame)), payload, key)
                sent.add(message)
                yield (*routes.get(receiver, ("", receiver)), message)

    with meddling(place, broker, meddle):
        client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
        assert client.wait() == 0, client.said()
    report = check(client)
    assert {image["attempts"] for image in report["files"]} == {1}
    assert [used["id"] for used in report["machines"]] == [machine["machine"]]
    assert {type(frame) for body in sent for frame in seen(body)} >= {
        *(Result, Chunk, Fetch, Cancel, Ticket, LeaseEnd, Lease, Returned, WorkerCrashed),
    }
    assert server.said().count("does not hold") <= 4  # once for each queue
    assert client.said().count("does not hold") <= 1
    assert server.is_alive
