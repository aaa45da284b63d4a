"""Whatever name a peer's frame may hold, publisher and consumer come to an end with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pika.adapters.blocking_connection import BlockingChannel
from tests.support.frames import any_frame, read, written

from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Consumer, Subscription
from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.broker.topology import Topology
from imgbatch.protocol.frames import Frame

pytestmark = pytest.mark.broker
Eventually = Callable[[Callable[[], object]], None]
ONE_RUN = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def names_in(frame: Frame) -> list[str]:
    """Return what becomes the name of a queue, or a routing key."""
    received = read(written(frame)).frame
    return [value] if (value := getattr(received, "queue", "")) else []


@ONE_RUN
@given(frames=st.lists(any_frame(), min_size=10, max_size=20))
def test_whatever_a_frame_may_say_is_settled_by_the_publisher(
    address: Address, topology: Topology, frames: list[Frame]
) -> None:
    told: list[Settlement] = []
    names = [name for frame in frames for name in names_in(frame)]
    publisher = Publisher(address, "imgbatch-test-hostile", topology)
    publisher.start()
    for name in names:
        publisher.post(Message("", name, b"x"), told.append)
        publisher.post(Message("amq.topic", name, b"x"), told.append)
    assert publisher.flush(30)
    publisher.close()
    assert len(told) == 2 * len(names)
    assert set(told) <= {Settlement.CONFIRMED, Settlement.RETURNED}


@ONE_RUN
@given(frames=st.lists(any_frame(), min_size=10, max_size=20))
def test_whatever_a_frame_may_say_is_subscribed_to_or_ended_by_the_consumer(
    address: Address,
    topology: Topology,
    channel: BlockingChannel,
    eventually: Eventually,
    frames: list[Frame],
) -> None:
    """Names that begin with ``amq.`` are the broker's own, and refused."""
    names = {name for frame in frames for name in names_in(frame)} | {"amq.gen-1", "a" * 255}
    ended: list[str] = []
    lost: list[bool] = []
    consumer = Consumer(address, "imgbatch-test-hostile", topology, lost=lambda: lost.append(True))
    consumer.start()
    for name in names:
        consumer.subscribe(
            Subscription(
                queue=name,
                declare=topology.declare_work_queue,
                received=lambda _received, _delivery: None,
                prefetch=1,
                started=lambda name=name: ended.append(name),  # type: ignore[misc]
                cancelled=ended.append,
            )
        )
    eventually(lambda: len(ended) == len(names))
    assert set(ended) == names
    assert lost == []
    consumer.close()
    for name in names - {"amq.gen-1"}:
        channel.queue_delete(name)
