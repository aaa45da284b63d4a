"""Publishing with confirms, several at a time, bounded in bytes, across reconnections.

A message is settled once: confirmed, returned because no queue takes it, or refused. What was
on its way when a connection broke is published again on the next one: at least once, in order.
After a message for which the broker closed the channel, each waits for the confirm of the one
before it, until it is known which it was: confirms come late, and its neighbours are innocent.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pika import BasicProperties
from pika.channel import Channel

from imgbatch.broker.address import Address
from imgbatch.broker.connection import PRECONDITION_FAILED, Connection
from imgbatch.broker.topology import Topology
from imgbatch.errors import BrokerError, Code

log = logging.getLogger(__name__)

WINDOW_BYTES = 16 * 1024 * 1024
"""Unconfirmed bytes before `publish` waits: pika itself buffers without bound, and a confirm
waited for after each message would hold 100 KB messages to about 600 a second."""
TRIES = 3
"""A message for which the broker closes the channel this often is one that it does not take."""


class Settlement(IntEnum):
    """What became of a message; the greater, the worse."""

    CONFIRMED = 0
    RETURNED = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Message:
    """What is published where.

    Parameters
    ----------
    exchange, routing_key
        Where to.
    body
        One encoded frame, or several, one behind the other.
    mandatory
        If no queue takes it, it is settled as returned, and not dropped without a word.
    """

    exchange: str
    routing_key: str
    body: bytes
    mandatory: bool = True

    def __repr__(self) -> str:
        return f"Message({self.exchange!r}, {self.routing_key!r}, {len(self.body)} bytes)"


@dataclass(slots=True)
class _Entry:
    message: Message
    settled: Callable[[Settlement], None]
    returned: bool = False
    faults: int = 0


class Publisher:
    """The publishing direction of a process: a connection of its own.

    Parameters
    ----------
    address
        The broker's.
    name
        For the broker's tools and the log.
    topology
        What exchanges there are.
    declare
        Declares queues that are published to, on each new channel.
    window_bytes
        How much may be unconfirmed before `publish` waits.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        topology: Topology,
        declare: Callable[[Channel], None] = lambda _channel: None,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.connection = Connection(
            address, name, self._on_up, self._on_down, topology.declare_exchanges
        )
        self._address = address
        self._declare = declare
        self._window_bytes = window_bytes
        self._room = threading.Condition()
        self._unsettled_bytes = 0
        self._closed = False
        self._waiting: deque[_Entry] = deque()
        self._unconfirmed: dict[int, _Entry] = {}
        self._last_tag = 0
        self._one_at_a_time = False

    def start(self) -> None:
        """Begin to connect."""
        self.connection.start()

    def publish(
        self, message: Message, settled: Callable[[Settlement], None] = lambda _settlement: None
    ) -> None:
        """Publish from a worker's thread, waiting while too many bytes are unconfirmed.

        Parameters
        ----------
        message
            What, and where to.
        settled
            Told what became of it, on the connection's thread.
        """
        limit_bytes = max(self._window_bytes - len(message.body), 0)
        with self._room:
            self._room.wait_for(lambda: self._closed or self._unsettled_bytes <= limit_bytes)
        self.post(message, settled)

    def publish_all(
        self, messages: Iterable[Message], settled: Callable[[Settlement], None]
    ) -> None:
        """Publish messages that are of use only together, one after the other, as `publish` does.

        Parameters
        ----------
        messages
            Drawn as there is room for them. No more are once one was not confirmed, nor if drawing
            one raises, which is raised here, too.
        settled
            Told once, when all that were published are settled, the worst of what became of them.
        """
        lock = threading.Lock()
        settlements: list[Settlement] = []
        expected = 1  # of this loop itself: it may publish more

        def one_settled(settlement: Settlement) -> None:
            with lock:
                settlements.append(settlement)
                is_last = len(settlements) == expected
            if is_last:
                settled(max(settlements))

        try:
            for message in messages:
                if any(settlements):
                    break
                expected += 1
                self.publish(message, one_settled)
        finally:
            one_settled(Settlement.CONFIRMED)

    def post(
        self, message: Message, settled: Callable[[Settlement], None] = lambda _settlement: None
    ) -> None:
        """Publish something small, from any thread, without ever waiting."""
        entry = _Entry(message, settled)
        with self._room:
            self._unsettled_bytes += len(message.body)

        def send() -> None:
            self._waiting.append(entry)
            self._send_waiting()

        self.connection.call_threadsafe(send)

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all is settled and told; return whether it is."""
        with self._room:
            return self._room.wait_for(lambda: not self._unsettled_bytes, timeout_seconds)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """End the connection; what is not settled by then never will be."""
        with self._room:
            self._closed = True
            self._room.notify_all()
        self.connection.close(timeout_seconds)

    # What follows runs on the connection's thread

    def _send_waiting(self) -> None:
        channel = self.connection.channel
        while self._waiting and channel is not None and channel.is_open:
            if self._one_at_a_time and self._unconfirmed:
                return
            self._publish(channel, self._waiting.popleft())
        if not self._waiting and not self._unconfirmed:
            self._one_at_a_time = False

    def _publish(self, channel: Channel, entry: _Entry) -> None:
        message = entry.message
        tag = self._last_tag + 1
        # Transient: the client keeps every file and sends again what it has no result for.
        properties = BasicProperties(message_id=str(tag), content_type="application/msgpack")
        try:
            channel.basic_publish(
                message.exchange,
                message.routing_key,
                message.body,
                properties,
                mandatory=message.mandatory,
            )
        except Exception as error:
            # Nothing has left, and nothing would the next time: a name that AMQP can't carry.
            log.warning("%r can't be sent: %s", message, type(error).__name__)
            self._settle(entry, Settlement.REFUSED)
            return
        self._last_tag = tag
        self._unconfirmed[tag] = entry

    def _on_up(self, channel: Channel) -> None:
        channel.confirm_delivery(self._on_confirm)
        channel.add_on_return_callback(self._on_return)
        self._declare(channel)
        self._send_waiting()

    def _on_down(self, reason: str, channel_error: int) -> None:
        interrupted = list(self._unconfirmed.values())  # in the order in which they were sent
        self._unconfirmed.clear()
        self._last_tag = 0
        self._waiting.extendleft(reversed(interrupted))
        for entry in interrupted:
            entry.returned = False
        if channel_error and interrupted:
            self._blame(interrupted[0], reason, channel_error)

    def _blame(self, entry: _Entry, reason: str, channel_error: int) -> None:
        """Count against a message that the broker closed the channel, if it was alone on it."""
        if not self._one_at_a_time:
            self._one_at_a_time = True
            return
        entry.faults += 1
        if entry.faults < TRIES:
            return
        self._one_at_a_time = False
        if channel_error == PRECONDITION_FAILED:
            self.connection.fatal_error = BrokerError(
                Code.BROKER_REFUSED,
                f"the broker at {self._address} refuses a message of {len(entry.message.body)} "
                f"bytes ({reason}); set its max_message_size to 2 MiB or more",
            )
        self._settle(self._waiting.popleft(), Settlement.REFUSED)

    def _on_return(self, _channel: Channel, _method: Any, properties: Any, _body: bytes) -> None:
        entry = self._unconfirmed.get(int(properties.message_id))
        if entry is not None:
            entry.returned = True

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [known for known in self._unconfirmed if known <= method.delivery_tag]
        accepted = method.NAME == "Basic.Ack"
        for entry in [self._unconfirmed.pop(tag) for tag in tags]:
            outcome = Settlement.CONFIRMED if accepted else Settlement.REFUSED
            self._settle(entry, Settlement.RETURNED if entry.returned else outcome)
        if self._one_at_a_time:
            self._send_waiting()

    def _settle(self, entry: _Entry, settlement: Settlement) -> None:
        # Told first: after a flush, what is told may need a connection that is about to be closed.
        self.connection.run_callback(lambda: entry.settled(settlement))
        with self._room:
            self._unsettled_bytes -= len(entry.message.body)
            self._room.notify_all()
