"""Who listens on a broker, and which batches run there: the answers to one call, collected."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Consumer, Delivery, Subscription
from imgbatch.broker.publisher import Message, Publisher
from imgbatch.broker.topology import Topology
from imgbatch.errors import BrokerError, Code, ProtocolError, VersionMismatch
from imgbatch.protocol import BatchStatus, Discover, Received, ServerStatus, encode

STALE_SECONDS = 10.0


@dataclass(slots=True)
class Picture:
    """What is known of the machines and batches at a time.

    Parameters
    ----------
    machines, batches
        The last that was heard of each, by id, with when.
    foreign
        Why somebody who answered could not be understood.
    """

    machines: dict[str, tuple[float, ServerStatus]] = field(default_factory=dict)
    batches: dict[str, tuple[float, BatchStatus]] = field(default_factory=dict)
    foreign: str = ""

    def hear(self, frame: object, now_seconds: float) -> None:
        """Take note of an announcement or of a batch's news."""
        if isinstance(frame, ServerStatus):
            self.machines.pop(frame.machine, None)
            if not frame.leaving:
                self.machines[frame.machine] = now_seconds, frame
        elif isinstance(frame, BatchStatus):
            self.batches.pop(frame.batch, None)
            if not frame.ended:
                self.batches[frame.batch] = now_seconds, frame

    def forget_silent(self, now_seconds: float) -> None:
        """Leave out who has said nothing for a while."""
        before = now_seconds - STALE_SECONDS
        self.machines = {key: item for key, item in self.machines.items() if item[0] > before}
        self.batches = {key: item for key, item in self.batches.items() if item[0] > before}

    def fields(self) -> dict[str, Any]:
        """Return the picture as plain values, machines by name and batches by age."""
        machines = [asdict(machine) for _, machine in self.machines.values()]
        batches = [asdict(batch) for _, batch in self.batches.values()]
        for machine in machines:
            machine["components"] = dict(machine["components"])
        return {
            "machines": sorted(machines, key=lambda machine: (machine["name"], machine["machine"])),
            "batches": sorted(batches, key=lambda batch: -batch["seconds"]),
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
        self._address = Address(broker)
        self._topology = Topology(prefix)
        self._lock = threading.Lock()
        self._picture = Picture()
        self._listening = threading.Event()
        topology = self._topology
        self._consumer = Consumer(self._address, "imgbatch-status-in", topology.declare_exchanges)
        self._publisher = Publisher(
            self._address, "imgbatch-status-out", topology.declare_exchanges
        )
        self._subscription = Subscription(
            queue="announcements",
            declare=partial(topology.declare_private_queue, exchange=topology.announcements),
            received=self._on_frame,
            unreadable=self._on_unreadable,
            prefetch=0,
            private=partial(topology.private_queue, "status"),
            started=self._listening.set,
        )

    def start(self, timeout_seconds: float = 10.0) -> None:
        """Connect, and begin to listen.

        Raises
        ------
        BrokerError
            If the broker can't be reached in time, or refuses us.
        """
        self._consumer.start()
        self._consumer.subscribe(self._subscription)
        self._publisher.start()
        deadline = time.monotonic() + timeout_seconds
        links = self._consumer.connection, self._publisher.connection
        while not (self._listening.is_set() and self._publisher.connection.was_up):
            refusal = links[0].fatal_error or links[1].fatal_error
            if refusal is not None:
                raise refusal
            if time.monotonic() > deadline:
                trouble = links[0].problem or links[1].problem or "the broker is silent"
                raise BrokerError(Code.BROKER_UNREACHABLE, trouble)
            time.sleep(0.02)

    def call(self) -> None:
        """Ask everybody to answer at once."""
        body = encode(Discover("status"))
        self._publisher.post(Message(self._topology.calls, "", body, mandatory=False))
        # Batches listen where the machines announce themselves, and answer there.
        self._publisher.post(Message(self._topology.announcements, "", body, mandatory=False))

    def picture(self) -> Picture:
        """Return what has been heard until now."""
        with self._lock:
            self._picture.forget_silent(time.monotonic())
            return Picture(
                dict(self._picture.machines), dict(self._picture.batches), self._picture.foreign
            )

    def stop(self) -> None:
        """Listen no more."""
        self._consumer.close(2.0)
        self._publisher.close(2.0)

    def _on_frame(self, received: Received, _delivery: Delivery) -> None:
        with self._lock:
            self._picture.hear(received.frame, time.monotonic())

    def _on_unreadable(self, _delivery: Delivery, error: ProtocolError) -> None:
        if isinstance(error, VersionMismatch):
            self._picture.foreign = str(error)
