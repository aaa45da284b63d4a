"""Tickets and deliveries for those who test the worker."""

from __future__ import annotations

import itertools
from typing import Any

from tests.support.frames import ticket

from imgbatch.broker.consumer import Delivery
from imgbatch.server.hands import HeldTicket

_TAGS = itertools.count(1)


def delivered(tag: int = 1, *, redelivered: bool = False) -> Delivery:
    """Return what acknowledges a message that came through no broker."""
    nowhere: Any = None
    return Delivery(redelivered, tag, nowhere, nowhere)


def held(
    job: int = 0,
    batch: str = "b",
    *,
    size_bytes: int = 4,
    suspect: bool = False,
    image: bytes | None = None,
) -> HeldTicket:
    """Return a ticket as a worker holds it, with its image if one is given."""
    delivery = delivered(next(_TAGS), redelivered=suspect)
    taken = HeldTicket(ticket(batch=batch, job=job, size_bytes=size_bytes), delivery, suspect)
    taken.image = None if image is None else memoryview(image)
    return taken
