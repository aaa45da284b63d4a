"""Small frames to the same receiver, several to a message.

Each message costs sender, broker and receiver a turn; the receiver's `Consumer` takes the frames
apart again, so nothing else needs to know.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.protocol.slicing import BUNDLE_BYTES, MOST_FRAMES_PER_BUNDLE

LONGEST_WAIT_SECONDS = 0.25
"""After which the next frame takes along those that wait."""


class Bundler:
    """Keeps frames until as many are there as are worth a message; for any thread.

    Parameters
    ----------
    publisher, exchange
        What the messages are published with, and where to.
    """

    def __init__(self, publisher: Publisher, exchange: str) -> None:
        self._publisher = publisher
        self._exchange = exchange
        self._lock = threading.Lock()
        self._routing_key = ""
        self._waiting: list[tuple[bytes, Callable[[Settlement], None]]] = []
        self._since_seconds = 0.0

    def add(self, routing_key: str, frame: bytes, settled: Callable[[Settlement], None]) -> None:
        """Take in a frame; publish all that wait if it is the last that fits.

        Parameters
        ----------
        routing_key, frame
            Where it goes, and its bytes. Frames with another routing key are published first.
        settled
            Told once, on the publisher's thread, what became of its message.
        """
        with self._lock:
            if routing_key != self._routing_key:
                self._publish_waiting()
            if not self._waiting:
                self._routing_key, self._since_seconds = routing_key, time.monotonic()
            self._waiting.append((frame, settled))
            if (
                len(self._waiting) >= MOST_FRAMES_PER_BUNDLE
                or sum(len(frame) for frame, _ in self._waiting) >= BUNDLE_BYTES
                or time.monotonic() - self._since_seconds >= LONGEST_WAIT_SECONDS
            ):
                self._publish_waiting()

    def flush(self) -> None:
        """Publish what waits, without waiting for room: there is no more of it than a message."""
        with self._lock:
            self._publish_waiting()

    def _publish_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []

        def all_settled(settlement: Settlement) -> None:
            for _, settled in waiting:
                settled(settlement)

        if waiting:
            body = b"".join(frame for frame, _ in waiting)
            self._publisher.post(Message(self._exchange, self._routing_key, body), all_settled)
