"""What a server is told, and what its supervisor and its workers tell each other."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from imgbatch.broker.address import DEFAULT_URL
from imgbatch.cores import usable_cores
from imgbatch.images.limits import Limits
from imgbatch.storage.places import Location


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """All that `imgbatch-server` can be told.

    Parameters
    ----------
    broker
        The broker's URL.
    allow
        Folders, with links followed, and places in stores that workers may read and write
        themselves.
    procs
        Worker processes.
    name
        For people; need not be unlike other servers' names.
    prefetch
        Tickets that each worker holds of each batch.
    limits
        What an image may be.
    image_timeout_seconds
        How long one may take.
    memory_bytes
        What an idle worker may hold before it is replaced.
    log_format, verbose
        How the log is written, and whether all of it is.
    prefix
        Of all names on the broker.
    """

    broker: str = DEFAULT_URL
    allow: tuple[Location, ...] = ()
    procs: int = field(default_factory=usable_cores)
    name: str = field(default_factory=socket.gethostname)
    prefetch: int = 3
    limits: Limits = field(default_factory=Limits)
    image_timeout_seconds: float = 120.0
    memory_bytes: int = 1024 * 1024 * 1024
    log_format: str = "text"
    verbose: bool = False
    prefix: str = "imgbatch."


@dataclass(frozen=True, slots=True)
class Serve:
    """To a worker: take tickets from this batch's queue."""

    batch: str
    secret: bytes = field(repr=False)


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
