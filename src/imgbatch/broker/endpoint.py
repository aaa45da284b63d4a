"""A process's place on a broker: a connection for each direction, used together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pika.channel import Channel

from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Consumer, Delivery, Subscription
from imgbatch.broker.publisher import Message, Publisher
from imgbatch.broker.topology import Topology
from imgbatch.errors import BrokerError, ProtocolError
from imgbatch.protocol.codec import NO_SECRETS, Received, Secrets, encode
from imgbatch.protocol.frames import Frame


class Endpoint:
    """A publisher and a consumer.

    Parameters
    ----------
    address
        The broker's.
    topology
        The names on it.
    name
        For the broker's tools and the log.
    secrets
        Of the batches whose frames are to be read and written.
    declare
        Declares queues that are published to, on each new channel.
    lost
        Called when the consumer's connection is gone.
    """

    def __init__(
        self,
        address: Address,
        topology: Topology,
        name: str,
        secrets: Secrets = NO_SECRETS,
        declare: Callable[[Channel], None] = lambda _channel: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.topology = topology
        self._secrets = secrets
        self.publisher = Publisher(address, f"{name}-out", topology, declare)
        self.consumer = Consumer(address, f"{name}-in", topology, lost, secrets)

    @property
    def problem(self) -> str | None:
        """Why nothing can be sent or received at present, for people; None if it can."""
        return self.consumer.connection.problem or self.publisher.connection.problem

    @property
    def fatal_error(self) -> BrokerError | None:
        """Set when waiting can't help."""
        return self.consumer.connection.fatal_error or self.publisher.connection.fatal_error

    def start(self) -> None:
        """Begin to connect."""
        self.publisher.start()
        self.consumer.start()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """End both connections."""
        self.consumer.close(timeout_seconds)
        self.publisher.close(timeout_seconds)

    def post(
        self, exchange: str, routing_key: str, frame: Frame, secrets: Secrets | None = None
    ) -> None:
        """Send a frame that its receiver can do without; others' secrets may be given for it."""
        body = encode(frame, secrets=secrets or self._secrets)
        self.publisher.post(Message(exchange, routing_key, body, mandatory=False))

    def listen(
        self,
        purpose: str,
        received: Callable[[Received, Delivery], None],
        bindings: Sequence[tuple[str, str]],
        *,
        prefetch: int = 0,
        started: Callable[[], None] = lambda: None,
        unreadable: Callable[[ProtocolError], None] = lambda _error: None,
    ) -> Subscription:
        """Receive from a queue of this process alone, bound to exchanges by routing keys.

        Its name, a new one for each connection, is the subscription's.
        """
        subscription = Subscription(
            queue=purpose,
            declare=partial(self.topology.declare_private_queue, bindings=bindings),
            received=received,
            prefetch=prefetch,
            private=partial(self.topology.private_name, purpose),
            started=started,
            unreadable=unreadable,
        )
        self.consumer.subscribe(subscription)
        return subscription
