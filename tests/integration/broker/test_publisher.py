"""Publishing with confirms: everything is settled once, whatever becomes of the connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from tests.support.amqp import delete_exchanges, plain_channel, take_all
from tests.support.brokers import Broker, own_node
from tests.support.rabbitmq import free_port

from imgbatch.broker import connection as connection_module
from imgbatch.broker.address import Address
from imgbatch.broker.publisher import TRIES, Message, Publisher, Settlement
from imgbatch.broker.topology import Topology
from imgbatch.errors import Code

pytestmark = pytest.mark.broker
Eventually = Callable[[Callable[[], object]], None]


@dataclass
class Settled:
    """What became of each message, in the order in which it was told."""

    told: list[tuple[int, Settlement]] = field(default_factory=list)

    def of(self, number: int) -> Callable[[Settlement], None]:
        return lambda settlement: self.told.append((number, settlement))

    def outcomes(self) -> dict[int, Settlement]:
        assert len(dict(self.told)) == len(self.told), "a message was settled twice"
        return dict(self.told)


@pytest.fixture
def settled() -> Settled:
    return Settled()


@pytest.fixture
def publisher(
    address: Address, topology: Topology, channel: BlockingChannel
) -> Iterator[Publisher]:
    publisher = Publisher(address, "imgbatch-test-out", topology)
    publisher.start()
    yield publisher
    publisher.close()
    delete_exchanges(channel, topology)


def break_off(publisher: Publisher) -> None:
    publisher.connection.call_threadsafe(lambda: publisher.connection.reset("the test breaks it"))


def test_messages_are_confirmed_and_arrive_in_order(
    publisher: Publisher, channel: BlockingChannel, queue: str, settled: Settled
) -> None:
    for number in range(300):
        publisher.publish(Message("", queue, b"%d" % number), settled.of(number))
    assert publisher.flush(30)
    assert settled.outcomes() == dict.fromkeys(range(300), Settlement.CONFIRMED)
    assert take_all(channel, queue) == [b"%d" % number for number in range(300)]


def test_messages_do_not_outlive_the_broker(
    publisher: Publisher, channel: BlockingChannel, queue: str
) -> None:
    publisher.post(Message("", queue, b"x"))
    assert publisher.flush(30)
    _, properties, _ = channel.basic_get(queue, auto_ack=True)
    assert properties.delivery_mode != 2
    assert properties.content_type == "application/msgpack"


def test_whoever_has_flushed_knows_that_all_were_told(publisher: Publisher, queue: str) -> None:
    told: list[int] = []

    def tell_slowly(_settlement: Settlement) -> None:
        threading.Event().wait(0.2)
        told.append(1)

    publisher.post(Message("", queue, b"x"), tell_slowly)
    assert publisher.flush(30)
    assert told == [1]


def test_a_message_for_a_queue_that_is_not_there_comes_back(
    publisher: Publisher, topology: Topology, queue: str, settled: Settled
) -> None:
    missing = topology.private_name("batch")
    publisher.post(Message("", queue, b"here"), settled.of(0))
    publisher.post(Message("", missing, b"there"), settled.of(1))
    publisher.post(Message("", queue, b"here"), settled.of(2))
    publisher.post(Message("", missing, b"nobody cares", mandatory=False), settled.of(3))
    assert publisher.flush(30)
    assert settled.outcomes() == {
        0: Settlement.CONFIRMED,
        1: Settlement.RETURNED,
        2: Settlement.CONFIRMED,
        3: Settlement.CONFIRMED,
    }


def test_what_is_on_its_way_when_the_connection_breaks_is_published_again_in_order(
    publisher: Publisher, channel: BlockingChannel, queue: str, settled: Settled
) -> None:
    publisher.post(Message("", queue, b"0"), settled.of(0))
    assert publisher.flush(30)
    for number in range(1, 2000):
        publisher.post(Message("", queue, b"%d" % number), settled.of(number))
        if number % 500 == 250:
            publisher.connection.call_threadsafe(
                lambda: publisher.connection.reset("the test breaks it")
            )
    assert publisher.flush(60)
    assert settled.outcomes() == dict.fromkeys(range(2000), Settlement.CONFIRMED)
    arrived = [int(body) for body in take_all(channel, queue)]
    assert list(dict.fromkeys(arrived)) == list(range(2000))


def test_nothing_is_lost_when_the_broker_closes_all_connections(
    broker: Broker, address: Address, topology: Topology, settled: Settled
) -> None:
    queue, stop = topology.private_name("batch"), threading.Event()
    publisher = Publisher(
        address,
        "imgbatch-test-cut",
        topology,
        lambda channel: topology.declare_work_queue(channel, queue),
    )
    publisher.start()

    def feed() -> None:
        number = 0
        while not stop.is_set() or number < 100:
            publisher.publish(Message("", queue, b"%d" % number), settled.of(number))
            number += 1
            stop.wait(0.001)

    feeder = threading.Thread(target=feed)
    feeder.start()
    broker.control("close_all_connections", "the test closes it")
    stop.set()
    feeder.join(60)
    assert publisher.flush(60)
    assert publisher.connection.problem is None
    publisher.close()
    outcomes = settled.outcomes()
    assert set(outcomes.values()) == {Settlement.CONFIRMED}
    with plain_channel(broker.url) as channel:
        arrived = [int(body) for body in take_all(channel, queue)]
        channel.queue_delete(queue)
    assert list(dict.fromkeys(arrived)) == list(range(len(outcomes)))


def test_a_message_that_closes_the_channel_is_refused_and_the_others_are_not(
    publisher: Publisher,
    channel: BlockingChannel,
    topology: Topology,
    queue: str,
    settled: Settled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_module, "LONGEST_PAUSE_SECONDS", 0.01)
    for number in range(20):
        publisher.post(Message("", queue, b"%d" % number), settled.of(number))
    publisher.post(Message(f"{topology.prefix}nowhere", "", b"x"), settled.of(20))
    for number in range(21, 40):
        publisher.post(Message("", queue, b"%d" % number), settled.of(number))
    assert publisher.flush(60)
    outcomes = settled.outcomes()
    assert outcomes.pop(20) is Settlement.REFUSED
    assert set(outcomes.values()) == {Settlement.CONFIRMED}
    arrived = [int(body) for body in take_all(channel, queue)]
    assert set(arrived) == set(range(40)) - {20}


@pytest.mark.parametrize("key", ["é" * 200, "q" * 256, "half a pair \ud800"])
def test_a_message_that_can_not_be_sent_is_refused_at_once_and_the_others_are_not(
    publisher: Publisher, channel: BlockingChannel, queue: str, settled: Settled, key: str
) -> None:
    """Also those that waited for the connection behind it."""
    for number in range(10):
        publisher.post(Message("", key if number % 2 else queue, b"x"), settled.of(number))
    break_off(publisher)
    for number in range(10, 20):
        publisher.post(Message("", key if number % 2 else queue, b"x"), settled.of(number))
    assert publisher.flush(30)
    outcomes = settled.outcomes()
    assert {outcomes.pop(number) for number in range(1, 20, 2)} == {Settlement.REFUSED}
    assert set(outcomes.values()) == {Settlement.CONFIRMED}
    assert len(take_all(channel, queue)) >= 10


def test_a_broker_that_takes_no_message_so_large_is_a_refusal_that_says_so(
    settled: Settled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LONGEST_PAUSE_SECONDS", 0.01)
    with own_node(more_settings="max_message_size = 500000\n") as node:
        publisher = Publisher(Address(node.url), "imgbatch-test-small", Topology())
        publisher.start()
        publisher.post(Message("amq.topic", "q", bytes(400_000), mandatory=False), settled.of(0))
        publisher.post(Message("amq.topic", "q", bytes(600_000), mandatory=False), settled.of(1))
        assert publisher.flush(60)
        publisher.close()
    assert settled.outcomes() == {0: Settlement.CONFIRMED, 1: Settlement.REFUSED}
    assert publisher.connection.fatal_error is not None
    assert publisher.connection.fatal_error.code is Code.BROKER_REFUSED
    assert "600000 bytes" in str(publisher.connection.fatal_error)
    assert "max_message_size" in str(publisher.connection.fatal_error)


def test_connections_that_break_often_are_not_held_against_a_message(
    publisher: Publisher,
    queue: str,
    settled: Settled,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    monkeypatch.setattr(connection_module, "LONGEST_PAUSE_SECONDS", 0.01)
    eventually(lambda: publisher.connection.was_up)
    for _ in range(TRIES + 2):
        publisher.post(Message("", queue, b"x"), settled.of(len(settled.told)))
        publisher.connection.call_threadsafe(
            lambda: publisher.connection.reset("the test breaks it")
        )
        assert publisher.flush(30)
    assert set(settled.outcomes().values()) == {Settlement.CONFIRMED}


def test_an_exchange_that_was_deleted_is_declared_anew(
    publisher: Publisher, channel: BlockingChannel, topology: Topology, settled: Settled
) -> None:
    publisher.post(Message(topology.to_servers, "", b"x", mandatory=False), settled.of(0))
    assert publisher.flush(30)
    channel.exchange_delete(topology.to_servers)
    publisher.post(Message(topology.to_servers, "", b"x", mandatory=False), settled.of(1))
    assert publisher.flush(30)
    assert settled.outcomes() == dict.fromkeys(range(2), Settlement.CONFIRMED)


def test_an_error_in_who_is_told_costs_a_reconnection_and_no_message(
    publisher: Publisher, queue: str, settled: Settled
) -> None:
    def fail(settlement: Settlement) -> None:
        settled.told.append((0, settlement))
        raise RuntimeError("a bug")

    publisher.post(Message("", queue, b"x"), fail)
    for number in range(1, 50):
        publisher.post(Message("", queue, b"x"), settled.of(number))
    assert publisher.flush(30)
    assert set(settled.outcomes()) == set(range(50))


def test_while_nothing_is_confirmed_publishing_waits_at_the_window_and_posting_does_not(
    queue: str, eventually: Eventually
) -> None:
    nobody = Address(f"amqp://127.0.0.1:{free_port()}/")
    publisher = Publisher(nobody, "imgbatch-test-window", Topology(), window_bytes=1000)
    publisher.start()
    sent: list[int] = []

    def feed() -> None:
        for number in range(10):
            publisher.publish(Message("", queue, bytes(300)))
            sent.append(number)

    feeder = threading.Thread(target=feed)
    feeder.start()
    eventually(lambda: len(sent) == 3)
    publisher.post(Message("", queue, bytes(5000)))
    assert not publisher.flush(0.2)
    assert sent == [0, 1, 2]
    publisher.close(1)
    feeder.join(10)
    assert not feeder.is_alive()


def test_a_message_larger_than_the_window_goes_alone(
    address: Address, channel: BlockingChannel, queue: str
) -> None:
    publisher = Publisher(address, "imgbatch-test-large", Topology(), window_bytes=1000)
    publisher.start()
    for _ in range(5):
        publisher.publish(Message("", queue, bytes(5000)))
    assert publisher.flush(30)
    assert len(take_all(channel, queue)) == 5
    publisher.close()


def test_under_a_memory_alarm_the_trouble_says_so_and_publishing_goes_on_after_it(
    broker: Broker, publisher: Publisher, queue: str, settled: Settled, eventually: Eventually
) -> None:
    eventually(lambda: publisher.connection.was_up)
    broker.control("set_vm_memory_high_watermark", "0")
    try:
        for number in range(20):
            publisher.post(Message("", queue, b"x"), settled.of(number))
        eventually(lambda: publisher.connection.problem)
        assert publisher.connection.problem == "the broker blocks publishing: low on memory"
        assert not publisher.flush(0.1)
    finally:
        broker.control("set_vm_memory_high_watermark", "absolute", "2GB")
    assert publisher.flush(30)
    assert publisher.connection.problem is None
    assert settled.outcomes() == dict.fromkeys(range(20), Settlement.CONFIRMED)


def test_a_blocked_broker_does_not_hold_a_close(
    broker: Broker, publisher: Publisher, queue: str, eventually: Eventually
) -> None:
    eventually(lambda: publisher.connection.was_up)
    broker.control("set_vm_memory_high_watermark", "0")
    try:
        publisher.post(Message("", queue, b"x"))
        eventually(lambda: publisher.connection.problem)
        publisher.close(0.2)
    finally:
        broker.control("set_vm_memory_high_watermark", "absolute", "2GB")
    publisher.connection._thread.join(30)
    assert not publisher.connection._thread.is_alive()


def test_messages_are_shown_without_their_bodies() -> None:
    assert repr(Message("", "q", b"secret" * 9)) == "Message('', 'q', 54 bytes)"
