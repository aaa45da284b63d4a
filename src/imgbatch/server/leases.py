"""For whom a machine works: a lease for each batch, which its client keeps renewing."""

from __future__ import annotations

from dataclasses import dataclass

from imgbatch.protocol import Lease
from imgbatch.server.messages import Serve, WorkerCommand

LONGEST_LEASE_SECONDS = 300


@dataclass(slots=True)
class ActiveLease:
    """A batch that the machine works for.

    Parameters
    ----------
    enlistment
        The last one that its client sent.
    until_seconds
        When it ends unless it is renewed.
    """

    enlistment: Lease
    until_seconds: float


class Leases:
    """All leases of a machine; times are handed in."""

    def __init__(self) -> None:
        self._leases: dict[str, ActiveLease] = {}

    @property
    def batches(self) -> tuple[str, ...]:
        """The batches that are worked for."""
        return tuple(self._leases)

    def topic(self, batch: str) -> str | None:
        """Where a batch's client listens; None if the batch is not worked for."""
        lease = self._leases.get(batch)
        return None if lease is None else lease.enlistment.topic

    def renew(self, enlistment: Lease, now_seconds: float) -> bool:
        """Begin a lease, or go on with it; tell whether it is new."""
        seconds = min(enlistment.lease_seconds, LONGEST_LEASE_SECONDS)
        known = self._leases.get(enlistment.batch)
        self._leases[enlistment.batch] = ActiveLease(enlistment, now_seconds + seconds)
        return known is None or known.enlistment.queue != enlistment.queue

    def end(self, batch: str) -> bool:
        """End a lease; tell whether there was one."""
        return self._leases.pop(batch, None) is not None

    def expired(self, now_seconds: float) -> list[str]:
        """Return the batches whose clients have fallen silent."""
        return [batch for batch, lease in self._leases.items() if lease.until_seconds < now_seconds]

    def commands(self) -> list[WorkerCommand]:
        """Return what a new worker has to be told."""
        return [Serve(batch, lease.enlistment.queue) for batch, lease in self._leases.items()]
