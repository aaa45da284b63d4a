"""Consuming: subscriptions that come back with each connection.

A message holds one frame or several, each delivered on its own; the message is answered when the
last of them has been. An answer belongs to the channel that the message came on, and is forgotten
with it. Each queue that a peer has named has a channel of its own: RabbitMQ closes the channel on
which something is wrong with a queue, and that shall cost no other one anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pika.channel import Channel

from imgbatch.broker.address import Address
from imgbatch.broker.connection import Connection
from imgbatch.broker.topology import Topology
from imgbatch.errors import ProtocolError
from imgbatch.logs import SaidOnce
from imgbatch.protocol.codec import NO_SECRETS, Received, Secrets, decode
from imgbatch.protocol.delivery import Answer

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Delivery:
    """What acknowledges a message; its frames share it, and each has to be answered once.

    Parameters
    ----------
    redelivered
        The broker had delivered the message before.
    tag, channel
        By which the broker knows it.
    subscription
        Through which it came.
    unanswered, answer
        How many of its frames are not answered yet, and the greatest of the answers until now.
    """

    redelivered: bool
    tag: int
    channel: Channel
    subscription: Subscription
    unanswered: int = 1
    answer: Answer = Answer.ACKNOWLEDGE


@dataclass(slots=True, eq=False)
class Subscription:
    """Deliveries from one queue; all callbacks run on the connection's thread and must not wait.

    Parameters
    ----------
    queue
        Its name; another for each connection if `private` is set.
    declare
        Makes sure, on each new channel, that the queue is there.
    received
        Gets each frame, and the delivery to answer it with, if `prefetch` is not 0.
    prefetch
        How many messages may be unanswered; 0 for those that need no answer.
    unreadable
        Told why a message can't be read. It is rejected; the first of its kind is logged.
    cancelled
        The broker has ended it: the queue is gone, or may not be used. What it delivered need not
        be answered any more.
    private
        Makes up the name of a queue that lives as long as one connection; one that the broker ends
        before its time is replaced.
    started
        Called on each new connection once the broker has confirmed this subscription and all
        private ones before.
    """

    queue: str
    declare: Callable[[Channel, str], None]
    received: Callable[[Received, Delivery], None]
    prefetch: int
    unreadable: Callable[[ProtocolError], None] = lambda _error: None
    cancelled: Callable[[str], None] = lambda _queue: None
    private: Callable[[], str] | None = None
    started: Callable[[], None] = lambda: None
    _tag: str = field(default="", init=False)
    _channel: Channel | None = field(default=None, init=False)
    _unanswered: int = field(default=0, init=False)
    _said: SaidOnce = field(default_factory=SaidOnce, init=False)


class Consumer:
    """The consuming direction of a process: a connection of its own, which never publishes.

    Parameters
    ----------
    address
        The broker's.
    name
        For the broker's tools and the log.
    topology
        What exchanges there are.
    lost
        Called when a connection is gone: what it delivered and was not answered will come again.
    secrets
        Of the batches whose frames are to be read.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        topology: Topology,
        lost: Callable[[], None] = lambda: None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.connection = Connection(
            address, name, self._on_up, lambda *_why: lost(), topology.declare_exchanges
        )
        self._secrets = secrets
        self._subscriptions: list[Subscription] = []

    def start(self) -> None:
        """Begin to connect."""
        self.connection.start()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """End the connection; the broker delivers what is unanswered to others."""
        self.connection.close(timeout_seconds)

    def subscribe(self, subscription: Subscription) -> None:
        """Begin to receive from a queue; from any thread."""
        self.connection.call_threadsafe(lambda: self._add(subscription))

    def unsubscribe(self, queue: str) -> None:
        """Receive no more from a queue; what it delivered can still be answered."""
        self.connection.call_threadsafe(lambda: self._remove(queue))

    def answer(self, answer: Answer, *deliveries: Delivery) -> None:
        """Answer a frame of each of these; the broker is told when a message has no other."""
        self.connection.call_threadsafe(lambda: self._answer(answer, *deliveries))

    def renew_if_ready(self, queue: str) -> None:
        """Make a subscription again that seems dead: messages wait in its queue, none arrives."""
        self.connection.call_threadsafe(lambda: self._count_ready(queue))

    # What follows runs on the connection's thread

    def _find(self, queue: str) -> Subscription | None:
        return next((known for known in self._subscriptions if known.queue == queue), None)

    def _add(self, subscription: Subscription) -> None:
        if self._find(subscription.queue) is None:
            self._subscriptions.append(subscription)
            self._open(subscription)

    def _open(self, subscription: Subscription) -> None:
        channel = self.connection.channel
        subscription._channel = None
        if channel is None or not channel.is_open:
            return
        if subscription.private is not None:
            subscription.queue = subscription.private()
            self._consume(subscription, channel)
            return
        try:
            channel.connection.channel(on_open_callback=partial(self._on_open, subscription))
        except Exception as error:  # there are as many channels as the broker allows
            self._refuse(subscription, error)

    def _on_open(self, subscription: Subscription, channel: Channel) -> None:
        if subscription not in self._subscriptions or subscription._channel is not None:
            channel.close()  # it was unsubscribed meanwhile
            return
        channel.add_on_close_callback(partial(self._on_channel_close, subscription))
        channel.add_on_cancel_callback(self._on_cancel)
        try:
            self._consume(subscription, channel)
        except Exception as error:  # a name that AMQP can't carry
            self._refuse(subscription, error)

    def _consume(self, subscription: Subscription, channel: Channel) -> None:
        subscription._channel = channel
        subscription._unanswered = 0
        subscription.declare(channel, subscription.queue)
        if subscription.prefetch:
            channel.basic_qos(prefetch_count=subscription.prefetch)
        subscription._tag = channel.basic_consume(
            subscription.queue,
            partial(self._on_message, subscription),
            auto_ack=subscription.prefetch == 0,
            callback=lambda _frame: self.connection.run_callback(subscription.started),
        )

    def _on_message(
        self, subscription: Subscription, channel: Channel, method: Any, _: Any, body: bytes
    ) -> None:
        delivery = Delivery(method.redelivered, method.delivery_tag, channel, subscription)
        if subscription.prefetch:
            subscription._unanswered += 1
        self.connection.run_callback(lambda: self._hand_over(body, delivery))

    def _hand_over(self, body: bytes, delivery: Delivery) -> None:
        try:
            bundle = decode(body, self._secrets)
        except ProtocolError as error:
            self._pass_over(delivery, error)
            return
        delivery.unanswered = len(bundle)
        for received in bundle:
            delivery.subscription.received(received, delivery)

    def _pass_over(self, delivery: Delivery, error: ProtocolError) -> None:
        # Not again: it would come for ever. And not one line for each: a peer could fill the disk.
        subscription = delivery.subscription
        if subscription._said.is_new(error.code):
            log.warning("passed over a message from %s: %s", subscription.queue, error)
        if subscription.prefetch:
            self._answer(Answer.REJECT, delivery)
        subscription.unreadable(error)

    def _answer(self, answer: Answer, *deliveries: Delivery) -> None:
        for delivery in deliveries:
            delivery.unanswered -= 1
            delivery.answer = max(delivery.answer, answer)
            channel = delivery.channel
            if delivery.unanswered or not channel.is_open:
                continue
            if delivery.answer is Answer.ACKNOWLEDGE:
                channel.basic_ack(delivery.tag)
            else:
                channel.basic_reject(delivery.tag, requeue=delivery.answer is Answer.REQUEUE)
            delivery.subscription._unanswered -= 1
            self._close_if_idle(delivery.subscription)

    def _close_if_idle(self, subscription: Subscription) -> None:
        """Close a channel that was unsubscribed and has nothing left to answer."""
        channel = subscription._channel
        if subscription._unanswered or subscription in self._subscriptions:
            return
        if channel is not None and channel.is_open and channel is not self.connection.channel:
            channel.close()

    def _remove(self, queue: str) -> None:
        subscription = self._find(queue)
        if subscription is None:
            return
        self._subscriptions.remove(subscription)
        channel = subscription._channel
        if channel is not None and channel.is_open:
            channel.basic_cancel(subscription._tag)
            self._close_if_idle(subscription)

    def _count_ready(self, queue: str) -> None:
        subscription = self._find(queue)
        channel = None if subscription is None else subscription._channel
        if channel is None or not channel.is_open:
            return

        def on_counted(frame: Any) -> None:
            ready = frame.method.message_count
            if ready and self._find(queue) is subscription is not None:
                log.warning(
                    "%d messages wait in %s and do not arrive; subscribing again", ready, queue
                )
                self._remove(queue)
                self._add(replace(subscription))

        channel.queue_declare(
            queue,
            passive=True,
            callback=lambda frame: self.connection.run_callback(lambda: on_counted(frame)),
        )

    def _on_up(self, channel: Channel) -> None:
        channel.add_on_cancel_callback(self._on_cancel)
        for subscription in list(self._subscriptions):
            self._open(subscription)

    def _on_channel_close(
        self, subscription: Subscription, channel: Channel, reason: BaseException
    ) -> None:
        # Not if it went with its connection: then the subscription is made again.
        if channel.connection.is_open and subscription in self._subscriptions:
            self._refuse(subscription, reason)

    def _on_cancel(self, frame: Any) -> None:
        tag = frame.method.consumer_tag
        for subscription in list(self._subscriptions):
            if subscription._tag != tag:
                continue
            log.info("the broker has cancelled the subscription to %s", subscription.queue)
            if subscription.private is None:
                self._end(subscription)
            else:
                self._open(subscription)

    def _refuse(self, subscription: Subscription, reason: BaseException) -> None:
        why = getattr(reason, "reply_text", None) or repr(reason)
        log.warning("the queue %s can't be used: %s", subscription.queue, why)
        self._end(subscription)

    def _end(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)
        channel = subscription._channel
        if channel is not None and channel.is_open:
            channel.close()
        self.connection.run_callback(lambda: subscription.cancelled(subscription.queue))
