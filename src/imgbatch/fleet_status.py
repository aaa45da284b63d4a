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
class FleetSnapshot:
    """What is known of the machines and batches at a time.

    Parameters
    ----------
    machines, batches
        The last status of each, by id, in the order in which they were heard of.
    foreign
        Why a peer that answered could not be understood; empty if none did.
    """

    machines: dict[str, ServerStatus] = field(default_factory=dict)
    batches: dict[str, BatchStatus] = field(default_factory=dict)
    foreign: str = ""
    _heard_seconds: dict[str, float] = field(default_factory=dict)

    def hear(self, frame: object, now_seconds: float) -> None:
        """Take note of a machine's or a batch's status."""
        if isinstance(frame, ServerStatus):
            self._heard_seconds[frame.machine] = now_seconds
            self.machines[frame.machine] = frame
        elif isinstance(frame, BatchStatus):
            self._heard_seconds[frame.batch] = now_seconds
            self.batches[frame.batch] = frame

    def present(self, now_seconds: float) -> FleetSnapshot:
        """Return those that are not over and were heard of in the last `STALE_SECONDS`."""
        before = now_seconds - STALE_SECONDS
        heard = {key: at for key, at in self._heard_seconds.items() if at > before}
        return FleetSnapshot(
            {key: it for key, it in self.machines.items() if key in heard and not it.leaving},
            {key: it for key, it in self.batches.items() if key in heard and not it.ended},
            self.foreign,
            heard,
        )

    def fields(self) -> dict[str, Any]:
        """Return all of it as plain values, machines by name and batches by age."""
        machines = [
            asdict(machine) | {"components": dict(machine.components)}
            for machine in self.machines.values()
        ]
        batches = [asdict(batch) for batch in self.batches.values()]
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
        address, topology = Address(broker), Topology(prefix)
        self._topology = topology
        self._lock = threading.Lock()
        self._heard = FleetSnapshot()
        self._listening = threading.Event()
        self._consumer = Consumer(address, "imgbatch-status-in", topology.declare_exchanges)
        self._publisher = Publisher(address, "imgbatch-status-out", topology.declare_exchanges)
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
        incoming, outgoing = self._consumer.connection, self._publisher.connection
        while not (self._listening.is_set() and outgoing.was_up):
            fatal_error = incoming.fatal_error or outgoing.fatal_error
            if fatal_error is not None:
                raise fatal_error
            if time.monotonic() > deadline:
                problem = incoming.problem or outgoing.problem or "the broker is silent"
                raise BrokerError(Code.BROKER_UNREACHABLE, problem)
            time.sleep(0.02)

    def discover(self) -> None:
        """Ask all servers and clients to answer at once."""
        body = encode(Discover(self._subscription.queue))
        # Batches listen where the machines announce themselves, and answer there.
        for exchange in (self._topology.discover, self._topology.announcements):
            self._publisher.post(Message(exchange, "", body, mandatory=False))

    def snapshot(self) -> FleetSnapshot:
        """Return what has been heard until now."""
        with self._lock:
            now_seconds = time.monotonic()
            self._heard = self._heard.present(now_seconds)
            return self._heard.present(now_seconds)

    def stop(self) -> None:
        """Listen no more."""
        self._consumer.close(2.0)
        self._publisher.close(2.0)

    def _on_frame(self, received: Received, _delivery: Delivery) -> None:
        with self._lock:
            self._heard.hear(received.frame, time.monotonic())

    def _on_unreadable(self, _delivery: Delivery, error: ProtocolError) -> None:
        if isinstance(error, VersionMismatch):
            self._heard.foreign = str(error)
