"""Exchanges and queues: their names, and how the first to need them declares them.

Everything begins with one prefix, so that one permission pattern of RabbitMQ covers it. Only
features that RabbitMQ 3.10 and 4.x both support are used: durable classic queues that expire, and
exclusive ones that go with their connection.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from pika.channel import Channel

WORK_QUEUE_EXPIRY_SECONDS = 60
"""How long a batch's work queue outlives its last consumer and its last declaration."""


class Topology:
    """The names of everything that imgbatch has on a broker.

    Parameters
    ----------
    prefix
        Of all names.

    Attributes
    ----------
    clients
        The topic exchange through which a client is reached, by its id.
    announcements
        The fanout exchange on which servers and batches tell how they are.
    discover
        The fanout exchange that reaches all servers, by which they are asked who is there.
    """

    def __init__(self, prefix: str = "imgbatch.") -> None:
        self.prefix = prefix
        self.clients = f"{prefix}clients"
        self.announcements = f"{prefix}announcements"
        self.discover = f"{prefix}discover"

    def work_queue(self, batch: str) -> str:
        """Return the name of the queue of a batch's tickets."""
        return f"{self.prefix}batch.{batch}"

    def private_queue(self, purpose: str) -> str:
        """Return a new name for a queue of one connection.

        New each time: after a cut, the broker may hold the old connection, and with it the old
        exclusive queue, for another 30 seconds, and would refuse the same name.
        """
        return f"{self.prefix}{purpose}.{uuid.uuid4().hex}"

    def is_ours(self, queue: str) -> bool:
        """Whether a queue that a peer names is one of imgbatch's."""
        return queue.startswith(self.prefix)

    def declare_exchanges(self, channel: Channel) -> None:
        """Make sure that the exchanges exist."""
        channel.exchange_declare(self.clients, "topic", durable=True)
        channel.exchange_declare(self.announcements, "fanout", durable=True)
        channel.exchange_declare(self.discover, "fanout", durable=True)

    def declare_work_queue(
        self,
        channel: Channel,
        queue: str,
        counted: Callable[[int, int], None] = lambda _tickets, _consumers: None,
    ) -> None:
        """Make sure that a batch's queue exists, and start its time of expiry again.

        `counted` is told how many tickets wait in it, and how many workers take from it.

        Classic: a quorum queue younger than two seconds loses everything when its broker is
        killed (measured). Durable: transient queues that several connections use are refused
        from RabbitMQ 4.3 on.
        """
        channel.queue_declare(
            queue,
            durable=True,
            arguments={"x-expires": WORK_QUEUE_EXPIRY_SECONDS * 1000},
            callback=lambda frame: counted(frame.method.message_count, frame.method.consumer_count),
        )

    def declare_private_queue(
        self, channel: Channel, queue: str, exchange: str = "", topic: str = ""
    ) -> None:
        """Declare a queue that goes with its connection, bound to an exchange if one is given."""
        channel.queue_declare(queue, exclusive=True)
        if exchange:
            channel.queue_bind(queue, exchange, routing_key=topic)
