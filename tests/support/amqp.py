"""A plain pika channel beside the parts under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel

from imgbatch.broker.address import Address
from imgbatch.broker.topology import Topology


@contextmanager
def plain_channel(url: str) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(Address(url).parameters("imgbatch-test")) as connection:
        yield connection.channel()


def declare_exchanges(channel: BlockingChannel, topology: Topology) -> None:
    for exchange in (topology.to_clients, topology.to_servers, topology.batches):
        channel.exchange_declare(exchange, "direct", durable=True)


def delete_exchanges(channel: BlockingChannel, topology: Topology) -> None:
    for exchange in (topology.to_clients, topology.to_servers, topology.batches):
        channel.exchange_delete(exchange)


def take_all(channel: BlockingChannel, queue: str) -> list[bytes]:
    """Take everything out of a queue."""
    found = []
    while (message := channel.basic_get(queue, auto_ack=True))[0] is not None:
        found.append(message[2])
    return found
