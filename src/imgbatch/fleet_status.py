"""Who listens on a broker, and which batches run there: the answers to one call, collected."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from msgspec.structs import asdict

from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Delivery
from imgbatch.broker.endpoint import Endpoint
from imgbatch.broker.topology import DISCOVER, OWN_NAME, STATUS, Topology
from imgbatch.errors import BrokerError, Code, ProtocolError, VersionMismatch
from imgbatch.protocol.codec import Received
from imgbatch.protocol.frames import BatchStatus, Discover, ServerStatus

STALE_SECONDS = 10.0
MOST_HEARD = 2_000
"""Machines and batches that are remembered: those that were heard of last."""


@dataclass(slots=True)
class Heard:
    """What was heard of machines and batches.

    Parameters
    ----------
    foreign
        Why a peer that answered could not be understood; empty if none did.
    """

    foreign: str = ""
    _last: dict[str, tuple[float, ServerStatus | BatchStatus]] = field(default_factory=dict)

    def hear(self, frame: object, now_seconds: float) -> None:
        """Take note of a machine's or a batch's status."""
        if isinstance(frame, ServerStatus | BatchStatus):
            key = frame.machine if isinstance(frame, ServerStatus) else frame.batch
            self._last.pop(key, None)
            self._last[key] = now_seconds, frame
            if len(self._last) > MOST_HEARD:
                del self._last[next(iter(self._last))]

    def fields(self, now_seconds: float) -> dict[str, Any]:
        """Return as plain values what is not over and was heard of lately.

        Machines come by name and batches by age.
        """
        heard = [(now_seconds - at, it) for at, it in list(self._last.values())]
        machines = [
            asdict(it)
            for ago, it in heard
            if isinstance(it, ServerStatus) and not it.leaving and ago < it.silence_seconds
        ]
        batches = [
            asdict(it)
            for ago, it in heard
            if isinstance(it, BatchStatus) and not it.ended and ago < STALE_SECONDS
        ]
        return {
            "machines": sorted(machines, key=itemgetter("name", "machine")),
            "batches": sorted(batches, key=itemgetter("seconds"), reverse=True),
        }


class Observer:
    """Listens on a broker for machines and batches.

    Parameters
    ----------
    broker
        The broker's URL.
    prefix
        Of all names there.
    """

    def __init__(self, broker: str, prefix: str = "imgbatch.") -> None:
        topology = Topology(prefix)
        self.heard = Heard()
        self._listening = threading.Event()
        self._endpoint = Endpoint(Address(broker), topology, "imgbatch-status")
        self._subscription = self._endpoint.listen(
            "status",
            self._on_frame,
            [
                (topology.to_clients, OWN_NAME),
                (topology.to_clients, STATUS),
                (topology.batches, STATUS),
            ],
            started=self._listening.set,
            unreadable=self._on_unreadable,
        )

    def start(self, timeout_seconds: float = 10.0) -> None:
        """Connect, and begin to listen.

        Raises
        ------
        BrokerError
            If the broker can't be reached in time, or refuses us.
        """
        self._endpoint.start()
        deadline = time.monotonic() + timeout_seconds
        while not (self._listening.is_set() and self._endpoint.publisher.connection.was_up):
            if self._endpoint.fatal_error is not None:
                raise self._endpoint.fatal_error
            if time.monotonic() > deadline:
                problem = self._endpoint.problem or "the broker is silent"
                raise BrokerError(Code.BROKER_UNREACHABLE, problem)
            time.sleep(0.02)

    def discover(self) -> None:
        """Ask all servers and clients to answer at once."""
        topology = self._endpoint.topology
        for exchange in (topology.to_servers, topology.batches):
            self._endpoint.post(exchange, DISCOVER, Discover(self._subscription.queue))

    def stop(self) -> None:
        """Listen no more."""
        self._endpoint.close(2.0)

    def _on_frame(self, received: Received, _delivery: Delivery) -> None:
        self.heard.hear(received.frame, time.monotonic())

    def _on_unreadable(self, error: ProtocolError) -> None:
        if isinstance(error, VersionMismatch):
            self.heard.foreign = str(error)
