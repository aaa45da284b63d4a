"""A plain pika channel beside the parts under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel

from imgbatch.broker.address import Address


@contextmanager
def plain_channel(url: str) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(Address(url).parameters("imgbatch-test")) as connection:
        yield connection.channel()


def take_all(channel: BlockingChannel, queue: str) -> list[bytes]:
    """Take everything out of a queue."""
    found = []
    while (message := channel.basic_get(queue, auto_ack=True))[0] is not None:
        found.append(message[2])
    return found
