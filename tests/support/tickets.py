"""Tickets and deliveries for those who test the worker."""

from __future__ import annotations

import itertools

from tests.support.frames import ticket

from imgbatch.broker.consumer import Delivery
from imgbatch.server.hands import HeldTicket

_TAGS = itertools.count(1)


def held(
    job: int = 0,
    batch: str = "b",
    *,
    size_bytes: int = 4,
    suspect: bool = False,
    image: bytes | None = None,
) -> HeldTicket:
    """Return a ticket as a worker holds it, with its image if one is given."""
    delivery = Delivery(b"", suspect, 1, next(_TAGS))
    taken = HeldTicket(ticket(batch=batch, job=job, size_bytes=size_bytes), delivery, suspect)
    taken.image = None if image is None else memoryview(image)
    return taken
