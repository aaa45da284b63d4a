"""Tickets and images on their way out: the thread that takes jobs, reads files and publishes.

A small image leaves inside its ticket, and the tickets of several small ones in one message; a
larger one leaves piece by piece, when a worker asks for it. No more than one piece of a file, or
one message, is held at a time, and the publisher makes this thread wait while too much is
unconfirmed.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from imgbatch.batch.model import Job
from imgbatch.batch.tally import Tally
from imgbatch.batch.write import (
    OutputPolicy,
    check_size,
    open_source,
    read_source,
    source_error,
)
from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.broker.topology import Topology
from imgbatch.engines.base import JobSource
from imgbatch.errors import ImageError
from imgbatch.images.limits import Limits
from imgbatch.protocol.client_session import (
    MOST_MESSAGES_PER_WORKER,
    Action,
    ClientSession,
    Draw,
    Offer,
    SendImage,
)
from imgbatch.protocol.codec import batch_of, encode
from imgbatch.protocol.frames import Chunk, Ticket
from imgbatch.protocol.slicing import BUNDLE_BYTES, CHUNK_BYTES, MOST_FRAMES_PER_BUNDLE
from imgbatch.recipe import Recipe
from imgbatch.storage.places import Location, ObjectPath, url_of
from imgbatch.storage.reference import Reference
from imgbatch.storage.store import changed_source

Tell = Callable[[Callable[[ClientSession], list[Action]]], None]
"""Has the session hear of an event, on its own thread."""


@dataclass
class Route:
    """Where a run's frames go.

    Parameters
    ----------
    secret
        The batch's.
    topology
        By which exchanges.
    recipe
        What its tickets ask for.
    limits
        The largest file that is sent, and the largest image that is to be processed.
    policy
        How results are written.
    direct
        Whether workers read and write files themselves, as they do objects.

    Attributes
    ----------
    batch, work_queue
        The run's id, and its tickets' queue.
    secrets
        What its frames are written and read with.
    """

    secret: bytes = field(repr=False)
    topology: Topology
    recipe: Recipe
    limits: Limits
    policy: OutputPolicy = field(default_factory=OutputPolicy)
    direct: bool = False

    def __post_init__(self) -> None:
        self.batch = batch_of(self.secret)
        self.work_queue = self.topology.work_queue(self.secret)
        self.secrets = {self.batch: self.secret}

    def is_referenced(self, location: Location) -> bool:
        """Whether workers read or write what lies there themselves."""
        return self.direct or isinstance(location, ObjectPath)

    def reference(self, job: Job) -> Reference:
        """Return what a job's ticket tells of what does not travel; empty if all does."""
        source, target = (
            url_of(location) if self.is_referenced(location) else ""
            for location in (job.source, job.target)
        )
        size_bytes = job.size_bytes if source else 0
        seen = size_bytes, job.modified_ns, job.mode, job.etag
        to_file = target and not isinstance(job.target, ObjectPath)
        folder = url_of(self.policy.folder) if to_file and self.policy.folder else ""
        how = self.policy.preserve, self.policy.overwrite
        return Reference(source, target, folder, *seen, *how)


def images_per_message(tally: Tally, draw: Draw) -> int:
    """Return how many images may leave in one message.

    One while the search goes on, since the next may be long in coming. Fewer towards the end, so
    that no worker has many left while others have none.
    """
    if not tally.plan_complete:
        return 1
    left = tally.planned_files - tally.done_files - draw.in_flight
    share = left // (max(1, draw.workers) * MOST_MESSAGES_PER_WORKER)
    return max(1, min(MOST_FRAMES_PER_BUNDLE, share))


class Reader:
    """That thread.

    Parameters
    ----------
    route, jobs, publisher
        Where frames go, where jobs come from, and what frames are published with.
    tally
        Tells how far the run is.
    tell
        Has the session hear of an event.
    refuse
        Told of a job that is too large to be sent.
    abort
        Told of an error after which the run can't go on.
    """

    def __init__(
        self,
        route: Route,
        jobs: JobSource,
        publisher: Publisher,
        tally: Tally,
        tell: Tell,
        refuse: Callable[[Job, ImageError], None],
        abort: Callable[[BaseException], None],
    ) -> None:
        self._route = route
        self._recipe = route.recipe.to_fields()
        self._jobs = jobs
        self._publisher = publisher
        self._tally = tally
        self._tell = tell
        self._refuse = refuse
        self._abort = abort
        self._requests: deque[Draw | Offer | SendImage | None] = deque()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._wanted = 0
        self._draw = Draw(0, 0, 0)
        self._kept: deque[Job] = deque()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        """Begin to serve requests."""
        self._thread.start()

    def put(self, request: Draw | Offer | SendImage | None) -> None:
        """Have a request served; from any thread. None is the last."""
        self._requests.append(request)
        os.eventfd_write(self._wake, 1)

    def take_no_more(self) -> None:
        """Take no more jobs."""
        self._stopped = True

    def stop(self, timeout_seconds: float) -> None:
        """Wait for the end, so that it tells of no image after the run is over."""
        self.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        if not self._thread.is_alive():
            os.close(self._wake)

    def _run(self) -> None:
        try:
            while self._serve_requests():
                self._take_jobs()
                wanted = self._wanted and not self._stopped
                wait([self._wake, *([self._jobs.wake] if wanted else [])])
                with suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
        except BaseException as error:
            self._abort(error)

    def _serve_requests(self) -> bool:
        """Serve what was asked for; return whether there may be more."""
        while self._requests:
            match self._requests.popleft():
                case Offer() as offer:
                    self._offer(offer)
                case SendImage() as send:
                    self._send(send)
                case Draw() as draw:
                    self._draw = draw
                    self._wanted += draw.messages
                case None:
                    return False
        return True

    # Jobs

    def _take_jobs(self) -> None:
        messages: list[list[tuple[int, object]]] = []
        while len(messages) < self._wanted and not self._stopped:
            message = self._next_message()
            if not message:
                break
            messages.append([(job.index, job) for job in message])
        if messages:
            self._wanted -= len(messages)
            self._tell(lambda session: session.drawn(messages, time.monotonic()))
        if self._jobs.is_exhausted and not self._kept and not self._stopped:
            self._stopped = True
            self._tell(ClientSession.all_drawn)

    def _next_message(self) -> list[Job]:
        """Return jobs that leave together: of `BUNDLE_BYTES`, or a single one.

        A large image is alone, even if its ticket holds none of it: it is much work.
        """
        message: list[Job] = []
        room_bytes = BUNDLE_BYTES
        images = images_per_message(self._tally, self._draw)
        while len(message) < images and room_bytes > 0:
            if not self._kept:
                self._kept.extend(self._jobs.take(images - len(message)))
            if not self._kept or (message and self._kept[0].size_bytes > room_bytes):
                break
            job = self._kept.popleft()
            try:
                check_size(job.source, job.size_bytes, self._route.limits.max_bytes)
            except ImageError as error:
                self._refuse(job, error)
                continue
            message.append(job)
            room_bytes -= job.size_bytes
        return message

    # Tickets

    def _offer(self, offer: Offer) -> None:
        tickets = {}
        for job in offer.jobs:
            try:
                tickets[job.index] = self._ticket(job.handle, offer.attempt)
            except ImageError as error:
                self._tell(partial(ClientSession.fail, index=job.index, error=error))
        if tickets:
            exchange, queue = self._route.topology.batches, self._route.work_queue
            message = Message(exchange, queue, b"".join(tickets.values()))

            def settled(settlement: Settlement) -> None:
                if settlement is not Settlement.CONFIRMED:
                    self._tell(lambda session: session.tickets_lost(tickets, time.monotonic()))

            self._publisher.publish(message, settled)

    def _ticket(self, job: Any, attempt: int) -> bytes:
        reference = self._route.reference(job)
        size_bytes = 0 if reference.source else job.size_bytes
        # Of a ticket that is not new, the image is asked for anyway.
        rides_along = not reference.source and size_bytes <= CHUNK_BYTES and attempt == 0
        ticket = Ticket(
            batch=self._route.batch,
            job=job.index,
            attempt=attempt,
            size_bytes=size_bytes,
            max_pixels=self._route.limits.max_pixels,
            recipe=self._recipe,
            wants_thumbnails=job.wants_thumbnails,
            reference=reference.to_fields() if reference.source or reference.target else {},
        )
        data = read_source(job, self._route.limits.max_bytes)[0] if rides_along else b""
        return encode(ticket, data, self._route.secrets)

    # Images

    def _send(self, send: SendImage) -> None:
        job: Any = send.job.handle

        def settled(_settlement: Settlement) -> None:
            self._tell(
                lambda session: session.sent(job.index, send.queue, send.transfer, time.monotonic())
            )

        try:
            self._publisher.publish_all(self._chunks(job, send), settled)
        except ImageError as error:
            self._tell(partial(ClientSession.fail, index=job.index, error=error))

    def _chunks(self, job: Job, send: SendImage) -> Iterator[Message]:
        exchange = self._route.topology.to_servers
        if self._route.is_referenced(job.source):
            consent = Chunk(self._route.batch, job.index, send.transfer, 0, 0)
            body = encode(consent, secrets=self._route.secrets)
            yield Message(exchange, send.queue, body)
            return
        with open_source(job) as file:
            # An empty file is one empty piece, since a worker waits for something.
            for offset in range(0, max(1, job.size_bytes), CHUNK_BYTES):
                chunk = Chunk(self._route.batch, job.index, send.transfer, offset, job.size_bytes)
                piece = _read_piece(job, file, min(CHUNK_BYTES, job.size_bytes - offset))
                body = encode(chunk, piece, self._route.secrets)
                yield Message(exchange, send.queue, body)


def _read_piece(job: Job, file: io.FileIO, length_bytes: int) -> bytes:
    piece = b""
    try:
        while len(piece) < length_bytes:
            more = file.read(length_bytes - len(piece))
            if not more:
                raise changed_source(job.source)
            piece = piece + more if piece else more
    except OSError as error:
        raise source_error(job, error) from error
    return piece
