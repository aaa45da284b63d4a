"""For whom a machine works: a lease for each batch, which its client keeps renewing."""

from __future__ import annotations

from dataclasses import dataclass

from imgbatch.protocol import Lease
from imgbatch.server.messages import Serve, WorkerCommand

LONGEST_LEASE_SECONDS = 300
MOST_LEASES = 200
"""At a time: each is a queue, and a consumer of every worker."""


@dataclass(slots=True)
class ActiveLease:
    """A batch that the machine works for, and until when unless its client renews the lease."""

    lease: Lease
    until_seconds: float


class Leases:
    """All leases of a machine; times are handed in."""

    def __init__(self) -> None:
        self._leases: dict[str, ActiveLease] = {}

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, batch: str) -> bool:
        return batch in self._leases

    @property
    def are_full(self) -> bool:
        """Whether no other batch can be worked for."""
        return len(self) >= MOST_LEASES

    def topic(self, batch: str) -> str | None:
        """Where a batch's client listens; None if the batch is not worked for."""
        active = self._leases.get(batch)
        return None if active is None else active.lease.topic

    def renew(self, lease: Lease, now_seconds: float) -> bool:
        """Begin a lease, or go on with it; return whether it is new."""
        known = self._leases.get(lease.batch)
        until_seconds = now_seconds + min(lease.lease_seconds, LONGEST_LEASE_SECONDS)
        self._leases[lease.batch] = ActiveLease(lease, until_seconds)
        return known is None or known.lease.queue != lease.queue

    def end(self, batch: str) -> bool:
        """End a lease; return whether there was one."""
        return self._leases.pop(batch, None) is not None

    def expired(self, now_seconds: float) -> list[str]:
        """Return the batches whose clients have fallen silent."""
        return [batch for batch, it in self._leases.items() if it.until_seconds < now_seconds]

    def commands(self) -> list[WorkerCommand]:
        """Return what a new worker has to be told."""
        return [Serve(batch, it.lease.queue) for batch, it in self._leases.items()]
