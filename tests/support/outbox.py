"""A publisher's place, taken by a list."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.frames import EVERY

from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.protocol.codec import Received, decode


class Outbox(Publisher):
    """Keeps what is published, and settles it at once: confirmed, unless its queue is missing."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.missing: set[str] = set()

    def publish(
        self, message: Message, settled: Callable[[Settlement], None] = lambda _settlement: None
    ) -> None:
        self.messages.append(message)
        found = message.routing_key not in self.missing
        settled(Settlement.CONFIRMED if found else Settlement.RETURNED)

    post = publish

    def frames(self) -> list[Received]:
        return [received for bundle in self.bundles() for received in bundle]

    def bundles(self) -> list[list[Received]]:
        return [decode(message.body, EVERY) for message in self.messages]
