"""What a supervisor and its workers tell each other, over the pipe between them."""

from __future__ import annotations

from dataclasses import dataclass

from imgbatch.images.limits import Limits


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker is started with.

    Parameters
    ----------
    broker
        The broker's URL.
    prefix
        Of all names on the broker.
    machine
        The id that results carry.
    prefetch
        Tickets held of each batch: one is computed, the others' images arrive meanwhile.
    limits
        What an image may be.
    """

    broker: str
    prefix: str
    machine: str
    prefetch: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Serve:
    """To a worker: take tickets from this batch's queue."""

    batch: str
    queue: str


@dataclass(frozen=True, slots=True)
class Leave:
    """To a worker: take no more of this batch, and give back what was not begun."""

    batch: str


@dataclass(frozen=True, slots=True)
class Drain:
    """To a worker: finish the image in hand, give back all others, and end."""


@dataclass(frozen=True, slots=True)
class BatchGone:
    """From a worker: nothing takes this batch's results, or its queue is no longer there.

    A worker says nothing else but `imgbatch.workers.process.Ready`.
    """

    batch: str


WorkerCommand = Serve | Leave | Drain
