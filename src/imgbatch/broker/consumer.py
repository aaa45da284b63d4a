"""Consuming: subscriptions that come back with each connection.

Acknowledgements know which connection they belong to, and are forgotten with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgbatch.broker.link import Cut, Hooks, Link

if TYPE_CHECKING:
    from pika.channel import Channel

    from imgbatch.broker.address import Address

log = logging.getLogger(__name__)


class Parts:
    """What is left to be done with a message before the broker hears of it; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 1
        self.any_given_back = False

    def set(self, number: int) -> None:
        """Say how many parts it has, before the first has ended."""
        self._open = number

    def end(self, *, given_back: bool = False) -> bool:
        """Take note that a part has ended; tell whether it was the last."""
        with self._lock:
            self._open -= 1
            self.any_given_back |= given_back
            return self._open == 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that came, and what is needed to acknowledge it.

    Parameters
    ----------
    epoch
        Which channel it came on: a tag means nothing, or something else, on a later one.
    redelivered
        The broker had given it to somebody before.
    parts
        Whoever acknowledges it or gives it back does so for one of them; the broker is told when
        all have ended, and gives the message to somebody else if any of them was given back.
    """

    body: bytes
    redelivered: bool
    epoch: int
    tag: int
    parts: Parts = field(default_factory=Parts)

    def __repr__(self) -> str:
        return f"Delivery({len(self.body)} bytes, tag {self.tag} of channel {self.epoch})"


@dataclass(slots=True)
class Subscription:
    """Deliveries from one queue.

    Parameters
    ----------
    queue
        Its name; made anew for each channel if `private` is set.
    declare
        Makes sure, on each new channel, that the queue is there.
    received
        Gets each delivery, on the link's thread; must not wait.
    prefetch
        How many may be unacknowledged; 0 for deliveries that need no acknowledgement.
    cancelled
        The broker has ended it: the queue is gone, or may not be used.
    private
        Makes up the name of a queue that lives as long as one channel; one that the broker ends
        before its time is replaced.
    started
        Called on each new channel once the broker has confirmed this subscription and all before.
    """

    queue: str
    declare: Callable[[Channel, str], None]
    received: Callable[[Delivery], None]
    prefetch: int
    cancelled: Callable[[str], None] = lambda _queue: None
    private: Callable[[], str] | None = None
    started: Callable[[], None] | None = None
    tag: str = field(default="", init=False)


class Consumer:
    """The consuming direction of a process: a link of its own, which never publishes.

    Parameters
    ----------
    address
        The broker's.
    name
        For the broker's tools and the log.
    prepare
        Called on each new channel before the subscriptions are renewed.
    lost
        Called when a channel is gone: what it delivered and nobody acknowledged will come again.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        prepare: Callable[[Channel], None] = lambda _channel: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.link = Link(address, name, Hooks(self._on_up, self._on_down))
        self._prepare = prepare
        self._lost = lost
        self._subscriptions: list[Subscription] = []
        self._epoch = 0

    def start(self) -> None:
        """Begin to connect."""
        self.link.start()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """End the connection; the broker gives what is unacknowledged to others."""
        self.link.close(timeout_seconds)

    def subscribe(self, subscription: Subscription) -> None:
        """Begin to receive from a queue; from any thread."""
        self.link.submit(lambda: self._add(subscription))

    def unsubscribe(self, queue: str) -> None:
        """Receive no more from a queue; what it delivered can still be acknowledged."""
        self.link.submit(lambda: self._remove(queue))

    def acknowledge(self, *deliveries: Delivery) -> None:
        """Tell the broker that messages are done with; of an earlier channel's, it knows."""
        ended = [delivery for delivery in deliveries if delivery.parts.end()]
        if ended:
            self.link.submit(lambda: self._answer_all(ended))

    def give_back(self, delivery: Delivery) -> None:
        """Have the broker give a message to somebody else."""
        if delivery.parts.end(given_back=True):
            self.link.submit(lambda: self._answer_all([delivery]))

    def drop(self, delivery: Delivery) -> None:
        """Have the broker forget a message that nobody can use."""
        self.link.submit(lambda: self._answer(delivery, "basic_reject", requeue=False))

    def renew(self, queue: str) -> None:
        """Cancel a subscription and make it again, if there is reason to doubt that it lives."""
        self.link.submit(lambda: self._renew(queue))

    def count_ready(self, queue: str, counted: Callable[[int], None]) -> None:
        """Ask how many messages wait in a queue that we are subscribed to."""
        self.link.submit(lambda: self._count_ready(queue, counted))

    def _find(self, queue: str) -> Subscription | None:
        return next((known for known in self._subscriptions if known.queue == queue), None)

    def _add(self, subscription: Subscription) -> None:
        if self._find(subscription.queue) is None:
            self._subscriptions.append(subscription)
            self._consume(subscription)

    def _consume(self, subscription: Subscription) -> None:
        channel = self.link.channel
        if channel is None or not channel.is_open:
            return
        if subscription.private is not None:
            subscription.queue = subscription.private()
        subscription.declare(channel, subscription.queue)
        if subscription.prefetch:
            channel.basic_qos(prefetch_count=subscription.prefetch)
        subscription.tag = channel.basic_consume(
            subscription.queue,
            self._deliver_to(subscription, self._epoch),
            auto_ack=subscription.prefetch == 0,
            callback=self._tell_started(subscription),
        )

    def _tell_started(self, subscription: Subscription) -> Callable[[Any], None] | None:
        started = subscription.started
        return None if started is None else lambda _frame: self.link.guarded(started)

    def _deliver_to(self, subscription: Subscription, epoch: int) -> Callable[..., None]:
        def on_message(_channel: Channel, method: Any, _properties: Any, body: bytes) -> None:
            delivery = Delivery(body, method.redelivered, epoch, method.delivery_tag)
            self.link.guarded(lambda: subscription.received(delivery))

        return on_message

    def _remove(self, queue: str) -> None:
        subscription = self._find(queue)
        if subscription is None:
            return
        self._subscriptions.remove(subscription)
        channel = self.link.channel
        if channel is not None and channel.is_open:
            channel.basic_cancel(subscription.tag)

    def _renew(self, queue: str) -> None:
        subscription = self._find(queue)
        if subscription is not None:
            self._remove(queue)
            self._add(subscription)

    def _answer_all(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.parts.any_given_back:
                self._answer(delivery, "basic_reject", requeue=True)
            else:
                self._answer(delivery, "basic_ack")

    def _answer(self, delivery: Delivery, method: str, **arguments: bool) -> None:
        channel = self.link.channel
        if delivery.epoch == self._epoch and channel is not None and channel.is_open:
            getattr(channel, method)(delivery.tag, **arguments)

    def _count_ready(self, queue: str, counted: Callable[[int], None]) -> None:
        channel = self.link.channel
        if self._find(queue) is None or channel is None or not channel.is_open:
            return

        def on_counted(frame: Any) -> None:
            self.link.guarded(lambda: counted(frame.method.message_count))

        channel.queue_declare(queue, passive=True, callback=on_counted)

    def _on_up(self, channel: Channel) -> None:
        self._epoch += 1
        channel.add_on_cancel_callback(self._on_cancel)
        self._prepare(channel)
        for subscription in list(self._subscriptions):
            self._consume(subscription)

    def _on_down(self, cut: Cut) -> None:
        self._lost()
        # A subscription that makes the broker close the channel would do so for ever.
        for subscription in list(self._subscriptions):
            if subscription.private is None and f"'{subscription.queue}'" in cut.reason:
                log.warning("the broker refuses the queue %s: %s", subscription.queue, cut.reason)
                self._end(subscription)

    def _on_cancel(self, frame: Any) -> None:
        tag = frame.method.consumer_tag
        for subscription in list(self._subscriptions):
            if subscription.tag == tag:
                log.info("the broker has cancelled the subscription to %s", subscription.queue)
                if subscription.private is None:
                    self._end(subscription)
                else:
                    self._consume(subscription)

    def _end(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)
        self.link.guarded(lambda: subscription.cancelled(subscription.queue))
