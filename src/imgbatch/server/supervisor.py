"""The process that answers for a machine: it keeps workers alive, and deals with clients.

It computes nothing and imports neither numba nor a codec, so that a hostile image can never
reach it, and heartbeats and announcements go on whatever the workers do.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ
from typing import TYPE_CHECKING

from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Delivery
from imgbatch.broker.endpoint import Endpoint
from imgbatch.broker.topology import DISCOVER, OWN_NAME, STATUS, Topology
from imgbatch.logs import SaidOnce
from imgbatch.protocol.codec import NO_SECRETS, Received, Secrets
from imgbatch.protocol.fields import MOST_PLACES, sentence_of
from imgbatch.protocol.frames import (
    LONGEST_INTERVAL_SECONDS,
    STATUS_SECONDS,
    Discover,
    Frame,
    Lease,
    LeaseEnd,
    LeaseRefused,
    Returned,
    ServerStatus,
    WorkerCrashed,
)
from imgbatch.server.messages import (
    BatchGone,
    Drain,
    Leave,
    Serve,
    ServerSettings,
    WorkerCommand,
)
from imgbatch.server.self_test import SelfTest
from imgbatch.storage.places import location_of_url, refused_place, url_of
from imgbatch.storage.reference import LONGEST_URL
from imgbatch.version import __version__
from imgbatch.workers import CODECS
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import Worker, WorkerExit, WorkerPool
from imgbatch.workers.process import Ready, worst_case_bytes

if TYPE_CHECKING:
    from imgbatch.server.metrics import Metrics

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
MOST_ANSWERS = 10
"""In a second, to those who ask for the status: what a machine sends must not depend on how often
it is asked. Others are answered by an announcement to all, once in a second."""
DRAIN_SECONDS = 25.0
"""How long the images at hand may take after SIGTERM; the whole server leaves within 30 s."""
RATE_SECONDS = 10.0
"""The time over which the rate of images is taken."""
LONGEST_LEASE_SECONDS = 300
LOOK_SECONDS = 2.0
"""How long it may take to see whether a folder is there."""
MOST_LEASES = 200
"""At a time: each is a queue, and a consumer of every worker."""
WORKER = "imgbatch.server.worker:main"
PRELOAD = ("imgbatch.server.worker", "imgbatch.images.display", "cv2", *CODECS)


class Throughput:
    """How many images a second were done lately; times are handed in."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque([(0.0, 0)])

    def note(self, images: int, now_seconds: float) -> None:
        """Take note of how many were done up to a time."""
        self._seen.append((now_seconds, images))
        # One is kept from before the window: what was done since then was done within it.
        while self._seen[1][0] <= now_seconds - RATE_SECONDS:
            self._seen.popleft()

    @property
    def images_per_second(self) -> float:
        """The rate over the last few seconds."""
        return (self._seen[-1][1] - self._seen[0][1]) / RATE_SECONDS


class Supervisor:
    """A server from its start to its end.

    Parameters
    ----------
    settings
        What it was told.
    self_test
        What `run_self_test` found.
    metrics
        Where its figures are shown, if anywhere.
    """

    def __init__(
        self, settings: ServerSettings, self_test: SelfTest, metrics: Metrics | None = None
    ) -> None:
        self._settings = settings
        self._self_test = self_test
        self._metrics = metrics
        self._topology = Topology(settings.prefix)
        self._machine = f"{settings.name}-{secrets.token_hex(4)}"
        self._leases: dict[str, tuple[Lease, float]] = {}  # by batch, with its end
        self._frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stop_requests = 0
        self._status_due_seconds = 0.0
        self._answers_left = MOST_ANSWERS
        self._answers_until_seconds = 0.0
        self._is_listening = False
        self._told_problem: str | None = None
        self._passed_over = SaidOnce()
        self._pool = WorkerPool(
            ForkServer(PRELOAD),
            WORKER,
            (settings, self._machine),
            time_limit_seconds=settings.image_timeout_seconds,
            idle_memory_bytes=settings.memory_bytes,
            memory_bytes=worst_case_bytes(settings.limits, files=1 + settings.prefetch),
            farewell=Drain(),
            logs=True,
        )
        self._pool.selector.register(self._wake, EVENT_READ, None)
        self._throughput = Throughput()
        self._address = Address(settings.broker)
        self._endpoint = Endpoint(
            self._address, self._topology, f"imgbatch-server-{self._machine}", lost=self._on_lost
        )
        self._inbox = self._endpoint.listen(
            "server",
            self._on_received,
            [(self._topology.to_servers, key) for key in (OWN_NAME, DISCOVER)],
            started=self._on_listening,
        )

    def stop(self) -> None:
        """Leave: the first time in good order, the second at once. Safe in a signal handler."""
        self._stop_requests += 1
        os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        """Work until told to stop.

        Raises
        ------
        BrokerError
            If the broker refuses us before it has ever let us in.
        """
        # Before they start: what fails at once is to be told.
        self._told_problem = self._endpoint.problem
        self._endpoint.start()
        procs = self._settings.procs
        log.info("%s: worker processes: %d; broker: %s", self._machine, procs, self._address)
        try:
            while not self._stop_requests:
                self._turn()
            self._drain()
        finally:
            self._pool.close()
            self._endpoint.close()

    def _turn(self) -> None:
        self._listen()
        while not self._frames.empty():
            self._on_frame(self._frames.get())
        now = time.monotonic()
        for batch in [batch for batch, (_, end) in self._leases.items() if end < now]:
            log.info("batch %s: its client has fallen silent", batch, extra={"batch": batch})
            self._end_lease(batch)
        self._pool.look_after()
        for worker in self._pool.fill(self._settings.procs):
            for lease, _ in self._leases.values():
                worker.send(Serve(lease.batch, lease.secret))
        self._throughput.note(self._pool.images, now)
        if self._metrics is not None:
            rate = self._throughput.images_per_second
            self._metrics.show(
                self._pool,
                self._settings.procs,
                rate,
                len(self._leases),
                connected=self._is_heard,
            )
        self._announce(now)
        self._check_connections()

    def _check_connections(self) -> None:
        if self._endpoint.fatal_error is not None:
            raise self._endpoint.fatal_error
        problem = self._endpoint.problem
        if problem != self._told_problem:
            self._told_problem = problem
            if problem is None:
                log.info("connected to the broker; waiting for work")
            else:
                log.info("%s; trying again, Ctrl-C to stop", problem)

    # What the workers say

    def _listen(self) -> None:
        for worker, message in self._pool.listen(TICK_SECONDS):
            match message:
                case Ready():
                    self._status_due_seconds = 0.0
                case WorkerExit():
                    self._report_exit(worker, message)
                case BatchGone(batch):
                    # A client that is there after all makes its queue again, and asks again.
                    self._end_lease(batch)
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _report_exit(self, worker: Worker, exited: WorkerExit) -> None:
        sentence = sentence_of(f"a worker {exited.how}")
        batch, job = exited.figures.batch, exited.figures.job
        if not worker.leaving:
            ids = {"batch": batch, "job": job} if batch else {}
            log.warning("%s; starting another", sentence, extra=ids)
        if batch in self._leases:
            frame: Frame = WorkerCrashed(batch, job, self._machine, exited.code, sentence)
            if exited.with_server:  # which is no image's fault
                frame = Returned(batch, (job,), self._machine)
            self._tell_client(self._leases[batch][0], frame)

    def _tell_workers(self, command: WorkerCommand) -> None:
        for worker in self._pool.workers:
            worker.send(command)

    # What clients say, heard on the consumer's thread and dealt with on the main one

    def _on_listening(self) -> None:
        self._is_listening = True
        self._status_due_seconds = 0.0
        os.eventfd_write(self._wake, 1)

    def _on_lost(self) -> None:
        self._is_listening = False

    def _on_received(self, received: Received, _delivery: Delivery) -> None:
        self._frames.put(received.frame)
        os.eventfd_write(self._wake, 1)

    def _on_frame(self, frame: Frame) -> None:
        match frame:
            case Discover(queue=queue):
                if self._is_heard and self._topology.is_ours(queue):
                    self._answers_left -= 1
                    if self._answers_left >= 0:
                        self._post(queue, self._status())
            case Lease():
                self._on_lease(frame)
            case LeaseEnd(batch=batch):
                self._end_lease(batch)
            case _:
                if self._passed_over.is_new(type(frame)):
                    log.warning("passed over a %s", type(frame).__name__)

    def _on_lease(self, lease: Lease) -> None:
        is_new = lease.batch not in self._leases
        if is_new and len(self._leases) >= MOST_LEASES:
            self._refuse(lease, f"it works for {len(self._leases)} batches already")
        elif why := (
            refused_place(lease.places, self._settings.allow)
            or (is_new and _unseen_folder(lease.places))
        ):
            self._refuse(lease, f"{self._settings.name}: {why}")
        else:
            seconds = min(lease.lease_seconds, LONGEST_LEASE_SECONDS)
            self._leases[lease.batch] = lease, time.monotonic() + seconds
            if is_new:
                ids = {"batch": lease.batch}
                log.info("working for batch %s of %s", lease.batch, lease.host, extra=ids)
                self._tell_workers(Serve(lease.batch, lease.secret))

    def _refuse(self, lease: Lease, why: str) -> None:
        refused = LeaseRefused(lease.batch, self._machine, socket.gethostname(), sentence_of(why))
        self._tell_client(lease, refused)

    def _end_lease(self, batch: str) -> None:
        if self._leases.pop(batch, None) is not None:
            log.info("no longer working for batch %s", batch, extra={"batch": batch})
            self._tell_workers(Leave(batch))

    # What is told

    def _tell_client(self, lease: Lease, frame: Frame) -> None:
        self._post(self._topology.topic(lease.secret), frame, {lease.batch: lease.secret})

    def _post(self, routing_key: str, frame: Frame, secrets: Secrets = NO_SECRETS) -> None:
        self._endpoint.post(self._topology.to_clients, routing_key, frame, secrets)

    @property
    def _is_heard(self) -> bool:
        # While the broker takes nothing, statuses would pile up, each of them stale.
        is_connected = self._is_listening and self._endpoint.publisher.connection.problem is None
        return is_connected and self._pool.ready > 0

    def _announce(self, now: float) -> None:
        if now >= self._answers_until_seconds:
            if self._answers_left < 0:
                self._status_due_seconds = 0.0
            self._answers_left, self._answers_until_seconds = MOST_ANSWERS, now + 1.0
        if now >= self._status_due_seconds and self._is_heard:
            self._status_due_seconds = now + self._interval_seconds
            self._post(STATUS, self._status())

    @property
    def _interval_seconds(self) -> float:
        """How often the status is told: as the client that hears from most machines wants it."""
        wanted = (lease.status_seconds for lease, _ in self._leases.values())
        return min(max([STATUS_SECONDS, *wanted]), LONGEST_INTERVAL_SECONDS)

    def _status(self, *, leaving: bool = False) -> ServerStatus:
        return ServerStatus(
            machine=self._machine,
            name=self._settings.name,
            host=socket.gethostname(),
            queue=self._inbox.queue,
            procs=self._settings.procs,
            busy=self._pool.busy,
            version=__version__,
            digest=self._self_test.digest,
            components=self._self_test.components,
            images=self._pool.images,
            busy_seconds=self._pool.busy_seconds,
            images_per_second=self._throughput.images_per_second,
            batches=len(self._leases),
            leaving=leaving,
            interval_seconds=self._interval_seconds,
            allowed=tuple(url_of(it)[:LONGEST_URL] for it in self._settings.allow[:MOST_PLACES]),
        )

    def _drain(self) -> None:
        log.info("%s: leaving; finishing %d images", self._machine, self._pool.busy)
        if self._inbox.queue:  # or it was never connected, and is not known
            self._post(STATUS, self._status(leaving=True))
        for worker in self._pool.workers:
            self._pool.dismiss(worker)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._pool.workers and time.monotonic() < deadline and self._stop_requests < 2:
            self._listen()
        log.info("%s: %d images done; ended", self._machine, self._pool.images)


def _unseen_folder(urls: Iterable[str]) -> str:
    """Return that one of these folders is not there, or not in time: a share may hang."""
    folders = [it for it in map(location_of_url, urls) if isinstance(it, Path)]
    seen: set[Path] = set()

    def look() -> None:
        seen.update(folder for folder in folders if folder.is_dir())

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(LOOK_SECONDS)
    return next((f"{it} is no folder on this machine" for it in folders if it not in seen), "")
