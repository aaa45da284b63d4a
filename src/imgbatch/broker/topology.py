"""Exchanges and queues: their names, and how the first to need them declares them.

Everything begins with one prefix, so that permission patterns of RabbitMQ cover it. The three
exchanges differ in who may write to them and read from them, since permissions know an exchange's
name and nothing of a message. Nothing is published straight into a queue: who may do that may write
to every queue of a virtual host. All three are direct ones: what is said to a client or within a
batch is heard only by a peer that knows its name, 122 random bits.

Only features that RabbitMQ 3.10 and 4.x both support are used: durable classic queues that expire,
and exclusive ones that go with their connection.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from pika.channel import Channel

from imgbatch.protocol.codec import derived

WORK_QUEUE_EXPIRY_SECONDS = 60
"""How long a batch's work queue outlives its last consumer and its last declaration."""
STATUS = "status"
"""The routing key of what all hear: servers' statuses on the one exchange, batches' on another."""
DISCOVER = "discover"
"""The routing key of the question who is there, to all servers or to all batches."""
OWN_NAME = ""
"""In place of a routing key: the queue's name."""
NOT_FOUND = 404


class Topology:
    """The names of everything that imgbatch has on a broker.

    Parameters
    ----------
    prefix
        Of all names.

    Attributes
    ----------
    to_clients
        The exchange to which servers write and from which clients read.
    to_servers
        The exchange to which clients write and from which servers read.
    batches
        The exchange for tickets, and for what clients tell one another of their batches: they write
        and read.
    """

    def __init__(self, prefix: str = "imgbatch.") -> None:
        self.prefix = prefix
        self.to_clients = f"{prefix}to-clients"
        self.to_servers = f"{prefix}to-servers"
        self.batches = f"{prefix}batches"

    def private_name(self, purpose: str) -> str:
        """Return a new name for a queue, or a routing key, that no other peer can guess.

        A queue of one connection has a new one each time: after a cut, the broker may hold the old
        connection, and with it the old exclusive queue, for another 30 seconds, and would refuse
        the same name.
        """
        return f"{self.prefix}{purpose}.{uuid.uuid4().hex}"

    def work_queue(self, secret: bytes) -> str:
        """Return the name of the queue of a batch's tickets, known only to who knows its secret."""
        return f"{self.prefix}batch.{derived(secret, 'queue')}"

    def topic(self, secret: bytes) -> str:
        """Return the routing key of all that is said to a batch's client; likewise."""
        return f"{self.prefix}client.{derived(secret, 'topic')}"

    def is_ours(self, name: str) -> bool:
        """Whether a queue or routing key that a peer names is a private one of imgbatch's."""
        return name.startswith(self.prefix)

    def declare_exchanges(
        self, connection: Any, ready: Callable[[], object], *, passive: bool = True
    ) -> None:
        """Make sure that the exchanges exist, on a channel of its own, then go on with `ready`.

        They are made only if one is missing: clients need no right to make them, with which they
        could replace one and be sent what is for others. `ready` is also called if they can't be
        made; without them, other channels are closed with `NOT_FOUND`.
        """

        def on_open(channel: Channel) -> None:
            for exchange in (self.to_clients, self.to_servers, self.batches):
                channel.exchange_declare(exchange, "direct", passive=passive, durable=True)
            channel.close()

        def on_close(_channel: Channel, reason: BaseException) -> None:
            if passive and getattr(reason, "reply_code", 0) == NOT_FOUND:
                self.declare_exchanges(connection, ready, passive=False)
            elif connection.is_open:
                ready()

        connection.channel(on_open_callback=on_open).add_on_close_callback(on_close)

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
        channel.queue_bind(queue, self.batches, routing_key=queue)

    def declare_private_queue(
        self, channel: Channel, queue: str, bindings: Sequence[tuple[str, str]]
    ) -> None:
        """Declare a queue that goes with its connection, bound to exchanges by routing keys."""
        channel.queue_declare(queue, exclusive=True)
        for exchange, key in bindings:
            channel.queue_bind(queue, exchange, routing_key=key or queue)
