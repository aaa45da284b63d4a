"""Subscriptions that come back, and acknowledgements that know their channel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from tests.support.brokers import Broker

from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Consumer, Delivery, Subscription
from imgbatch.broker.topology import Topology
from imgbatch.errors import ProtocolError
from imgbatch.protocol.codec import Received, encode
from imgbatch.protocol.delivery import Answer
from imgbatch.protocol.frames import Cancel, Discover

pytestmark = pytest.mark.broker
Eventually = Callable[[Callable[[], object]], None]


@dataclass
class Inbox:
    """What was delivered, and what was told of queues and channels."""

    received: list[Received] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    unreadable: list[ProtocolError] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    lost: int = 0

    @property
    def bodies(self) -> list[bytes]:
        return [bytes(received.payload) for received in self.received]

    def on_frame(self, received: Received, delivery: Delivery) -> None:
        self.received.append(received)
        self.deliveries.append(delivery)

    def on_lost(self) -> None:
        self.lost += 1


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def consumer(address: Address, topology: Topology, inbox: Inbox) -> Iterator[Consumer]:
    consumer = Consumer(address, "imgbatch-test-in", topology, lost=inbox.on_lost)
    consumer.start()
    yield consumer
    consumer.close()


def subscription(topology: Topology, queue: str, inbox: Inbox, **changes: Any) -> Subscription:
    fields = {
        "queue": queue,
        "declare": topology.declare_work_queue,
        "received": inbox.on_frame,
        "unreadable": inbox.unreadable.append,
        "prefetch": 3,
        "cancelled": inbox.cancelled.append,
    }
    return Subscription(**(fields | changes))


def private(topology: Topology, inbox: Inbox, **changes: Any) -> Subscription:
    declare = partial(topology.declare_private_queue, bindings=[("amq.topic", topology.prefix)])
    make = partial(topology.private_name, "test")
    fields = {"declare": declare, "prefetch": 0, "private": make}
    return subscription(topology, "", inbox, **(fields | changes))


def frame(payload: bytes) -> bytes:
    return encode(Discover("test"), payload)


def put(channel: BlockingChannel, queue: str, *payloads: bytes) -> None:
    """Publish messages of one frame each."""
    for payload in payloads:
        channel.basic_publish("", queue, frame(payload))


def put_bundle(channel: BlockingChannel, queue: str, *payloads: bytes) -> None:
    """Publish one message of several frames."""
    channel.basic_publish("", queue, b"".join(map(frame, payloads)))


def waiting(channel: BlockingChannel, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def break_off(consumer: Consumer) -> None:
    consumer.connection.call_threadsafe(lambda: consumer.connection.reset("the test breaks it"))


def test_messages_come_up_to_the_prefetch_and_go_on_with_acknowledgements(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    put(channel, queue, b"1", b"2", b"3", b"4")
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=2))
    eventually(lambda: waiting(channel, queue) == 2 and inbox.bodies == [b"1", b"2"])
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[0])
    eventually(lambda: inbox.bodies == [b"1", b"2", b"3"])
    consumer.answer(Answer.ACKNOWLEDGE, *inbox.deliveries[1:])
    eventually(lambda: inbox.bodies == [b"1", b"2", b"3", b"4"])
    assert not any(delivery.redelivered for delivery in inbox.deliveries)


def test_a_message_of_several_frames_is_acknowledged_with_the_last_of_them(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    put_bundle(channel, queue, b"1", b"2", b"3")
    put(channel, queue, b"another", b"one more")
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=2))
    eventually(lambda: inbox.bodies == [b"1", b"2", b"3", b"another"])
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[0])
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[1], inbox.deliveries[3])
    eventually(lambda: inbox.bodies[4:] == [b"one more"])
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[4])
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[2])
    consumer.close()
    assert waiting(channel, queue) == 0


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_message_of_which_a_frame_is_requeued_comes_again_when_all_are_answered(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
    first: int,
) -> None:
    put_bundle(channel, queue, b"1", b"2", b"3")
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=2))
    eventually(lambda: len(inbox.deliveries) == 3)
    for number, delivery in enumerate(inbox.deliveries[:3]):
        assert len(inbox.deliveries) == 3
        answer = Answer.REQUEUE if number == first else Answer.ACKNOWLEDGE
        consumer.answer(answer, delivery)
    eventually(lambda: len(inbox.deliveries) == 6)
    assert all(delivery.redelivered for delivery in inbox.deliveries[3:])
    assert inbox.bodies[3:] == [b"1", b"2", b"3"]
    consumer.answer(Answer.ACKNOWLEDGE, *inbox.deliveries[3:])
    consumer.close()
    assert waiting(channel, queue) == 0


@pytest.mark.parametrize("prefetch", [0, 1])
def test_messages_that_can_not_be_read_are_rejected_and_logged_once_for_each_reason(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    prefetch: int,
) -> None:
    """Or somebody could fill the disk with the log."""
    cut, forgery = frame(b"1") + frame(b"2")[:-1], encode(Cancel("b", 1, 2), b"", {"b": bytes(32)})
    for body in [b"", b"garbage", cut, forgery] * 5:
        channel.basic_publish("", queue, body)
    put(channel, queue, b"3")
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=prefetch))
    eventually(lambda: inbox.bodies == [b"3"])
    assert len(inbox.unreadable) == 20
    assert waiting(channel, queue) == 0
    logged = [it.getMessage() for it in caplog.records if "passed over" in it.getMessage()]
    assert len(logged) == 2
    assert all(queue in line for line in logged)


def test_what_is_requeued_comes_again_and_what_is_rejected_does_not(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    put(channel, queue, b"back", b"gone")
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=2))
    eventually(lambda: len(inbox.deliveries) == 2)
    consumer.answer(Answer.REJECT, inbox.deliveries[1])
    consumer.answer(Answer.REQUEUE, inbox.deliveries[0])
    eventually(lambda: len(inbox.deliveries) == 3)
    assert inbox.bodies[2] == b"back"
    assert inbox.deliveries[2].redelivered
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[2])
    consumer.close()
    assert waiting(channel, queue) == 0


def test_subscriptions_made_before_the_connection_and_after_a_cut_are_there(
    address: Address,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    consumer = Consumer(address, "imgbatch-test-in", topology, lost=inbox.on_lost)
    consumer.start()
    consumer.subscribe(subscription(topology, queue, inbox))
    put(channel, queue, b"1")
    eventually(lambda: inbox.bodies == [b"1"])
    break_off(consumer)
    eventually(lambda: inbox.bodies == [b"1", b"1"])
    assert inbox.lost == 1
    assert inbox.cancelled == []
    assert inbox.deliveries[1].redelivered
    consumer.close()


def test_an_acknowledgement_of_an_earlier_channel_is_forgotten(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    put(channel, queue, b"1", b"2")
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=1))
    eventually(lambda: inbox.bodies == [b"1"])
    break_off(consumer)
    eventually(lambda: len(inbox.deliveries) == 2)
    for answer in Answer:
        consumer.answer(answer, inbox.deliveries[0])  # tag 1, as the one at hand now has
    done = threading.Event()
    consumer.connection.call_threadsafe(done.set)
    assert done.wait(30)
    assert waiting(channel, queue) == 1
    assert inbox.bodies == [b"1", b"1"]
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[1])
    eventually(lambda: inbox.bodies == [b"1", b"1", b"2"])
    assert inbox.lost == 1


def test_a_queue_that_is_deleted_ends_its_own_subscription_only(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    other = f"{topology.prefix}batch.other"
    consumer.subscribe(subscription(topology, other, inbox))
    consumer.subscribe(subscription(topology, queue, inbox))
    put(channel, queue, b"1")
    eventually(lambda: inbox.bodies == [b"1"])
    channel.queue_delete(other)
    eventually(lambda: inbox.cancelled == [other])
    put(channel, queue, b"2")
    eventually(lambda: inbox.bodies == [b"1", b"2"])
    assert inbox.lost == 0
    break_off(consumer)
    eventually(lambda: len(inbox.bodies) == 4)
    assert inbox.cancelled == [other]


def test_a_queue_that_may_not_be_used_ends_its_own_subscription_only(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    """Not even their unanswered messages."""
    channel.queue_declare(f"{topology.prefix}batch.wrong", exclusive=True)
    put(channel, queue, b"1")
    consumer.subscribe(subscription(topology, queue, inbox))
    eventually(lambda: inbox.bodies == [b"1"])
    consumer.subscribe(subscription(topology, f"{topology.prefix}batch.wrong", inbox))
    eventually(lambda: inbox.cancelled == [f"{topology.prefix}batch.wrong"])
    put(channel, queue, b"2")
    eventually(lambda: inbox.bodies == [b"1", b"2"])
    assert inbox.lost == 0


@pytest.mark.parametrize("name", ["é" * 200, "q" * 256, "x" * 200, "half a pair \ud800"])
def test_a_queue_whose_name_is_of_no_use_ends_its_own_subscription_only(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
    name: str,
) -> None:
    """Of a name of 200 characters, the broker's reply that it is in use holds only a part."""
    if name == "x" * 200:
        channel.queue_declare(name, exclusive=True)
    put(channel, queue, b"1")
    consumer.subscribe(subscription(topology, queue, inbox))
    consumer.subscribe(subscription(topology, name, inbox))
    eventually(lambda: inbox.cancelled == [name])
    put(channel, queue, b"2")
    eventually(lambda: inbox.bodies == [b"1", b"2"])
    consumer.answer(Answer.ACKNOWLEDGE, *inbox.deliveries)
    assert inbox.lost == 0
    consumer.close()
    assert waiting(channel, queue) == 0


@pytest.fixture
def impatient(broker: Broker) -> Iterator[None]:
    """Have the broker take messages back that are not answered in a second or two."""

    def set_milliseconds(timeout: int, tick: int) -> None:
        for name, value in (("consumer_timeout", timeout), ("channel_tick_interval", tick)):
            broker.control("eval", f"application:set_env(rabbit, {name}, {value}).")

    set_milliseconds(1000, 500)
    yield
    set_milliseconds(1_800_000, 60_000)


@pytest.mark.usefixtures("impatient")
def test_a_message_that_is_held_for_too_long_ends_its_own_subscription_only(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    other = f"{topology.prefix}batch.other"
    for name in (queue, other):
        consumer.subscribe(subscription(topology, name, inbox))
    put(channel, queue, b"1")
    eventually(lambda: inbox.cancelled == [queue])
    put(channel, other, b"2")
    eventually(lambda: inbox.bodies == [b"1", b"2"])
    consumer.answer(Answer.ACKNOWLEDGE, *inbox.deliveries)
    eventually(lambda: waiting(channel, queue) == 1)
    assert inbox.lost == 0
    channel.queue_delete(other)


def test_batches_that_come_and_go_leave_no_channel_behind(
    broker: Broker,
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    """A connection has 2047 at most, and a worker lives for days."""

    def channels() -> int:
        found: list[int] = []
        connection = consumer.connection
        connection.call_threadsafe(lambda: found.append(len(connection._connection._channels)))
        eventually(lambda: found)
        return found[0]

    for number in range(1, 4):
        put(channel, queue, b"%d" % number)
        consumer.subscribe(subscription(topology, queue, inbox))
        eventually(lambda number=number: len(inbox.deliveries) == number)
        consumer.unsubscribe(queue)
        assert channels() == 2  # one message is not answered yet
        consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[-1])
        eventually(lambda: channels() == 1)
    channel.queue_delete(queue)
    assert inbox.lost == 0


def test_an_error_in_who_is_told_of_a_lost_queue_hides_no_lost_channel(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    def fail(_queue: str) -> None:
        raise RuntimeError("a bug")

    channel.queue_declare(f"{topology.prefix}batch.wrong", exclusive=True)
    consumer.subscribe(subscription(topology, queue, inbox))
    consumer.subscribe(
        subscription(topology, f"{topology.prefix}batch.wrong", inbox, cancelled=fail)
    )
    eventually(lambda: inbox.lost == 1)
    put(channel, queue, b"1")
    eventually(lambda: inbox.bodies == [b"1"])


def test_a_private_queue_has_a_new_name_on_each_channel_and_after_each_deletion(
    consumer: Consumer,
    channel: BlockingChannel,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    own = private(topology, inbox)
    names: list[str] = []

    def speak() -> bool:
        channel.basic_publish("amq.topic", topology.prefix, frame(b"x"))
        return bool(inbox.deliveries)

    consumer.subscribe(own)
    eventually(speak)
    names.append(own.queue)
    break_off(consumer)
    eventually(lambda: own.queue not in names)
    inbox.deliveries.clear()
    eventually(speak)
    names.append(own.queue)
    assert len(set(names)) == 2
    assert all(topology.is_ours(name) for name in names)
    assert inbox.cancelled == []


def test_an_error_in_who_receives_costs_a_reconnection_and_no_message(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    def fail_at_first(received: Received, delivery: Delivery) -> None:
        inbox.on_frame(received, delivery)
        if len(inbox.deliveries) == 1:
            raise RuntimeError("a bug")
        consumer.answer(Answer.ACKNOWLEDGE, delivery)

    consumer.subscribe(subscription(topology, queue, inbox, received=fail_at_first, prefetch=1))
    put(channel, queue, b"1", b"2")
    eventually(lambda: b"2" in inbox.bodies)
    assert inbox.bodies == [b"1", b"1", b"2"]
    assert inbox.lost == 1


def test_what_was_delivered_before_unsubscribing_can_still_be_acknowledged(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    put(channel, queue, b"1")
    consumer.subscribe(subscription(topology, queue, inbox))
    eventually(lambda: inbox.bodies == [b"1"])
    consumer.unsubscribe(queue)
    consumer.unsubscribe(queue)
    done = threading.Event()
    consumer.connection.call_threadsafe(done.set)
    assert done.wait(30)
    put(channel, queue, b"2")
    consumer.answer(Answer.ACKNOWLEDGE, inbox.deliveries[0])
    consumer.close()
    eventually(lambda: waiting(channel, queue) == 1)
    assert inbox.bodies == [b"1"]
    assert channel.basic_get(queue, auto_ack=True)[2] == frame(b"2")


def test_a_subscription_is_made_anew_if_messages_wait_in_its_queue(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=1))
    consumer.subscribe(subscription(topology, queue, inbox, prefetch=1))  # the same queue, once
    put(channel, queue, b"1", b"2", b"3")
    eventually(lambda: inbox.bodies == [b"1"])
    consumer.renew_if_ready(f"{topology.prefix}batch.not subscribed to")
    consumer.renew_if_ready(queue)
    eventually(lambda: inbox.bodies == [b"1", b"2"])
    assert inbox.cancelled == []
    assert channel.queue_declare(queue, passive=True).method.consumer_count == 1
    consumer.answer(Answer.ACKNOWLEDGE, *inbox.deliveries)  # of both subscriptions
    eventually(lambda: inbox.bodies == [b"1", b"2", b"3"])


def test_a_subscription_whose_queue_is_empty_is_left_alone(
    consumer: Consumer,
    channel: BlockingChannel,
    queue: str,
    topology: Topology,
    inbox: Inbox,
    eventually: Eventually,
) -> None:
    consumer.subscribe(subscription(topology, queue, inbox))
    put(channel, queue, b"1")
    eventually(lambda: inbox.bodies == [b"1"])
    before = consumer._find(queue)
    consumer.renew_if_ready(queue)
    put(channel, queue, b"2")
    eventually(lambda: inbox.bodies == [b"1", b"2"])
    assert consumer._find(queue) is before
