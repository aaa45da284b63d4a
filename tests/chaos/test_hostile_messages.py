"""Messages that nobody of ours would send: garbage, replays, gaps, surplus, lies.

Nothing of it may cost more than a line in a log.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pika
import pytest
from tests.support.amqp import declare_exchanges
from tests.support.brokers import Broker, Place
from tests.support.frames import announcement, enlistment, forged, nonsense, ticket
from tests.support.oracle import FACTORS, check
from tests.support.programs import Programs
from tests.support.slow_photos import large, slow

from imgbatch.broker.topology import DISCOVER, STATUS, Topology
from imgbatch.protocol import (
    Chunk,
    Fetch,
    Frame,
    InProgress,
    Lease,
    Result,
    Returned,
    WorkerCrashed,
    decode,
    decode_bundle,
    encode,
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

    def close(self) -> None:
        self._connection.close()


def junk() -> Iterator[bytes]:
    """Yield messages that are no frames, or worse."""
    noise = random.Random(0)
    yield b""
    yield b"\x95"
    yield noise.randbytes(100)
    yield noise.randbytes(200_000)
    yield msgpack.packb({"a": 1})
    yield b"\x91" * 100_000  # lists in lists
    yield b"\x95\x02\xcf" + b"\0" * 8 + b"\xdb\xff\xff\xff\xff"  # a string of 4 GB
    yield b"\x95\x02\xcf" + b"\0" * 8 + b"\xa5chunk\xdf\xff\xff\xff\xff"  # a map of 2**32 entries
    yield b'{"image": "gASVAAAAAA=="}'
    yield encode(InProgress("b", (1,), "m"))[:-3]
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


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_hundred_thousand_frames_of_well_formed_nonsense_harm_no_run(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Sent to every queue and exchange during a run. Memory stays bounded. Nothing is lost."""
    slow(tmp_path / "in", 250, 100)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(3)
    spy = Spy(place, broker)
    topic, _ = spy.wait()
    routes = [("", name) for name in queues(broker, place)]
    routes += [(exchange, key or topic) for exchange, key in EVERYWHERE]
    noise = random.Random(0)
    bodies = [encode(*nonsense(noise)) for _ in range(2_000)]
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
    topic, body = spy.wait()
    batch = decode_bundle(body)[0].frame.batch  # type: ignore[union-attr]
    (work_queue,) = (name for name in queues(broker, place) if ".batch." in name)
    fetch = Fetch(batch, 10**9, "imgbatch.worker.nobody", 1, False, "nobody")
    for hostile_lease in (
        forged(enlistment(batch="a", queue="x"), topic=LONG),
        forged(enlistment(batch="b"), queue=LONG),
        forged(enlistment(batch="c"), queue="imgbatch." + "q" * 191 + "\u00e9" * 55),
    ):
        spy.publish("", machine["queue"], hostile_lease)
    for hostile_fetch in (forged(fetch, queue=LONG), forged(fetch, queue="imgbatch.#")):
        spy.publish(TOPOLOGY.to_clients, topic, hostile_fetch)
    status = announcement(machine="liar", procs=1, digest=machine["digest"])
    spy.publish(TOPOLOGY.to_clients, STATUS, forged(status, queue=LONG))
    spy.publish("", work_queue, forged(ticket(batch=batch, job=10**9), topic=LONG))
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
        locked, other, long = (f"imgbatch.batch.{word}" for word in ("l", "o", "x" * 200))
        channel.queue_declare(locked, exclusive=True)
        channel.queue_declare(other, durable=True, arguments={"x-expires": 99_000})
        channel.queue_declare(long, exclusive=True)
        for number, queue in enumerate((locked, other, long)):
            hostile = encode(
                enlistment(batch=f"hostile-{number}", queue=queue, topic="imgbatch.client.c")
            )
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
    payload = b"\xff" * 1000
    if isinstance(frame, Chunk):
        end = frame.size_bytes
        yield replace(frame, offset_bytes=end), payload  # beyond the end
        yield replace(frame, offset_bytes=min(end, frame.offset_bytes + 7)), payload  # a gap
        yield replace(frame, size_bytes=2**50), payload
        yield replace(frame, transfer=frame.transfer + 1), payload  # of another sending
        yield replace(frame, job=10**9), payload
        yield replace(frame, batch="another"), payload
    if isinstance(frame, Result):
        yield replace(frame, transfer=frame.transfer + 1, size_bytes=2**52), payload
        yield replace(frame, job=10**9), payload
        yield replace(frame, batch="another"), payload
        yield WorkerCrashed(frame.batch, 10**9, "nobody", "worker-crashed", "a lie"), b""
        yield Returned(frame.batch, (10**9,), "nobody"), b""
        yield Fetch(frame.batch, frame.job, "imgbatch.worker.nobody", 1, False, "nobody"), b""
        yield Fetch(frame.batch, 10**9, "amq.gen-somebody", 1, True, "nobody"), b""
        yield Lease(frame.batch, "somewhere", "else", 9, "h"), b""


def test_replayed_reordered_and_contradicting_results_change_no_byte(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: that of the results which the lies broke off, done again, and 30 s where a
    replayed beginning took the place of a result that was arriving."""
    large(tmp_path / "in", 24)
    server = programs.server(place.url, procs=2, fragile=True)
    held_back: list[tuple[str, bytes]] = []
    lied_about: set[tuple[str, int]] = set()
    ours: set[bytes] = set()

    def meddle(topic: str, body: bytes) -> Iterator[tuple[str, str, bytes]]:
        if body in ours:
            return
        frame = decode(body).frame
        subject = type(frame).__name__, getattr(frame, "job", 0)
        if subject not in lied_about:
            lied_about.add(subject)
            for lie, payload in lies_about(frame):
                message = encode(lie, payload)
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
        assert client.wait() == 0, client.said()
        check(client)
    assert ours
    assert server.is_alive


def test_tickets_and_chunks_that_come_twice_are_done_once(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: that of the images which two workers began with at the same time."""
    large(tmp_path / "in", 30, 100)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(3)
    (work_queue,) = (name for name in queues(broker, place) if name.startswith("imgbatch.batch."))
    spy, doubled = Spy(place, broker), 0
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
            frame = None if message is None else decode(message[1]).frame
            if isinstance(frame, Fetch):  # a false piece before the right ones, or among them
                piece = Chunk(frame.batch, frame.job, frame.transfer, 5, 2_000_000)
                spy.publish("", frame.queue, encode(piece, b"nonsense"))
                first = Chunk(frame.batch, frame.job, frame.transfer, 0, 99)
                spy.publish("", frame.queue, encode(first, b"\0" * 100))
    spy.close()
    assert client.wait() == 0, client.said()
    report = check(client)
    assert doubled > 5
    assert sum(machine["images"] for machine in report["machines"]) == 30
    assert server.is_alive
