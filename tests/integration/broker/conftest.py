"""A plain pika channel beside the parts under test, and names of one test's own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from tests.support.amqp import declare_exchanges, delete_exchanges, plain_channel
from tests.support.brokers import Broker

from imgbatch.broker.address import Address
from imgbatch.broker.topology import Topology

PATIENCE_SECONDS = 30.0


@pytest.fixture
def address(broker: Broker) -> Address:
    return Address(broker.url)


@pytest.fixture
def topology() -> Topology:
    return Topology(f"test-{secrets.token_hex(4)}.")


@pytest.fixture
def channel(broker: Broker) -> Iterator[BlockingChannel]:
    with plain_channel(broker.url) as plain:
        yield plain


@pytest.fixture
def queue(channel: BlockingChannel, topology: Topology) -> Iterator[str]:
    """A durable queue, as a batch's work queue is one."""
    declare_exchanges(channel, topology)
    name = topology.private_name("batch")
    topology.declare_work_queue(_Plain(channel), name)  # type: ignore[arg-type]
    yield name
    channel.queue_delete(name)
    delete_exchanges(channel, topology)


class _Plain:
    """A blocking channel as the topology uses one: it has no callbacks."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel

    def queue_declare(self, queue: str, callback: object = None, **arguments: object) -> None:
        self._channel.queue_declare(queue, **arguments)

    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> None:
        self._channel.queue_bind(queue, exchange, routing_key)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until something is so."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.01)

    return wait
