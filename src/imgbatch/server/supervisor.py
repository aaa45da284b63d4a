"""The process that answers for a machine: it keeps workers alive, and deals with clients.

It computes nothing and imports neither numba nor a codec, so that a hostile image can never
reach it, and heartbeats and announcements go on whatever the workers do.
"""

from __future__ import annotations

import logging
import multiprocessing
import queue
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from selectors import EVENT_READ
from typing import TYPE_CHECKING

from imgbatch.broker.address import DEFAULT_URL, Address
from imgbatch.broker.consumer import Consumer, Delivery, Subscription
from imgbatch.broker.publisher import Message, Publisher
from imgbatch.broker.topology import Topology
from imgbatch.cores import usable_cores
from imgbatch.errors import BrokerError
from imgbatch.images.limits import Limits
from imgbatch.protocol import (
    Discover,
    Frame,
    Lease,
    LeaseEnd,
    LeaseRefused,
    Received,
    ServerStatus,
    WorkerCrashed,
    encode,
)
from imgbatch.server.leases import Leases
from imgbatch.server.messages import (
    ClientGone,
    Drain,
    Leave,
    QueueGone,
    Serve,
    WorkerCommand,
    WorkerSettings,
)
from imgbatch.server.metrics import Throughput
from imgbatch.server.self_test import SelfTest
from imgbatch.version import __version__
from imgbatch.workers import CODECS
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import Worker, WorkerExit, WorkerPool
from imgbatch.workers.process import Ready, worst_case_bytes

if TYPE_CHECKING:
    from imgbatch.server.metrics import Metrics

log = logging.getLogger(__name__)

ANNOUNCE_SECONDS = 3.0
TICK_SECONDS = 0.5
DRAIN_SECONDS = 25.0
"""How long the images at hand may take after SIGTERM; the whole server leaves within 30 s."""
WORKER = "imgbatch.server.worker:main"
PRELOAD = ("imgbatch.server.worker", "cv2", *CODECS)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """All that `imgbatch-server` can be told.

    Parameters
    ----------
    broker
        The broker's URL.
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
    prefix
        Of all names on the broker.
    """

    broker: str = DEFAULT_URL
    procs: int = field(default_factory=usable_cores)
    name: str = field(default_factory=socket.gethostname)
    prefetch: int = 3
    limits: Limits = field(default_factory=Limits)
    image_timeout_seconds: float = 120.0
    memory_bytes: int = 1024 * 1024 * 1024
    prefix: str = "imgbatch."


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
        self._leases = Leases()
        self._frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = multiprocessing.Pipe(duplex=False)
        self._waking = threading.Lock()
        self._stop_requests = 0
        self._announce_after_seconds = 0.0
        self._is_listening = False
        self._told_trouble: str | None = None
        worker_settings = WorkerSettings(
            settings.broker, settings.prefix, self._machine, settings.prefetch, settings.limits
        )
        self._pool = WorkerPool(
            ForkServer(PRELOAD),
            WORKER,
            (worker_settings,),
            time_limit_seconds=settings.image_timeout_seconds,
            idle_memory_bytes=settings.memory_bytes,
            memory_bytes=worst_case_bytes(settings.limits, files=1 + settings.prefetch),
            farewell=Drain(),
            logs=True,
        )
        self._pool.selector.register(self._wake_reader, EVENT_READ, None)
        self._throughput = Throughput()
        address = Address(settings.broker)
        name = f"imgbatch-server-{self._machine}"
        self._publisher = Publisher(address, f"{name}-out", self._topology.declare_exchanges)
        self._consumer = Consumer(
            address, f"{name}-in", self._topology.declare_exchanges, lost=self._on_lost
        )
        self._inbox = Subscription(
            queue="",
            declare=partial(self._topology.declare_private_queue, exchange=self._topology.calls),
            received=self._on_frame,
            prefetch=0,
            private=partial(self._topology.private_queue, "server"),
            started=self._on_listening,
        )

    def stop(self) -> None:
        """Leave: the first time in good order, the second at once. Safe in a signal handler."""
        self._stop_requests += 1
        self._wake()

    def run(self) -> None:
        """Work until told to stop.

        Raises
        ------
        BrokerError
            If the broker refuses us before it has ever let us in.
        """
        self._publisher.start()
        self._consumer.start()
        self._consumer.subscribe(self._inbox)
        self._told_trouble = self._consumer.connection.problem
        log.info(
            "%s: worker processes: %d; broker: %s",
            self._machine,
            self._settings.procs,
            Address(self._settings.broker),
        )
        try:
            while not self._stop_requests:
                self._turn()
            self._drain()
        finally:
            self._pool.close()
            self._consumer.close()
            self._publisher.close()

    def _turn(self) -> None:
        self._listen()
        while not self._frames.empty():
            self._obey(self._frames.get())
        now = time.monotonic()
        for batch in self._leases.expired(now):
            log.info("batch %s: its client has fallen silent", batch)
            self._end_lease(batch)
        self._pool.look_after()
        for worker in self._pool.fill(self._settings.procs):
            for command in self._leases.commands():
                worker.send(command)
        self._throughput.note(self._pool.images, now)
        self._announce_when_due(now)
        self._tell_of_trouble()
        refusal = self._consumer.connection.fatal_error or self._publisher.connection.fatal_error
        if refusal is not None:
            raise BrokerError(refusal.code, refusal.sentence)

    def _tell_of_trouble(self) -> None:
        trouble = self._consumer.connection.problem or self._publisher.connection.problem
        if trouble == self._told_trouble:
            return
        self._told_trouble = trouble
        if trouble is None:
            log.info("connected to the broker; waiting for work")
        else:
            log.info("%s; trying again, Ctrl-C to stop", trouble)

    def _listen(self) -> None:
        for worker, message in self._pool.listen(TICK_SECONDS):
            self._handle(worker, message)
        while self._wake_reader.poll():
            self._wake_reader.recv_bytes()

    def _handle(self, worker: Worker, message: object) -> None:
        match message:
            case Ready():
                self._announce_after_seconds = 0.0
            case WorkerExit():
                self._report_exit(worker, message)
            case ClientGone(batch=batch):
                self._end_lease(batch)
            case QueueGone(batch=batch):
                # Until its client has made the queue anew, and asks again.
                self._end_lease(batch)
            case _:
                pass

    def _report_exit(self, worker: Worker, exited: WorkerExit) -> None:
        sentence = f"a worker {exited.how}"
        if not worker.leaving:
            log.warning("%s; starting another", sentence)
        if exited.task is None:
            return
        batch, job = exited.task.batch, exited.task.job
        topic = self._leases.topic(batch)
        if topic is not None:
            crashed = WorkerCrashed(batch, job, self._machine, exited.code, sentence)
            self._publisher.post(
                Message(self._topology.clients, topic, encode(crashed), mandatory=False)
            )

    def _tell_workers(self, command: WorkerCommand) -> None:
        for worker in self._pool.workers:
            worker.send(command)

    # Clients, heard on the consumer's thread, answered on the main one

    def _on_listening(self) -> None:
        self._is_listening = True
        self._announce_after_seconds = 0.0
        self._wake()

    def _on_lost(self) -> None:
        self._is_listening = False

    def _on_frame(self, received: Received, _delivery: Delivery) -> None:
        self._frames.put(received.frame)
        self._wake()

    def _wake(self) -> None:
        # A signal handler may interrupt its own thread in here, hence no waiting for the lock.
        if self._waking.acquire(blocking=False):
            try:
                self._wake_writer.send_bytes(b"!")
            finally:
                self._waking.release()

    def _obey(self, frame: Frame) -> None:
        match frame:
            case Discover():
                self._announce_after_seconds = 0.0
            case Lease():
                self._enlist(frame)
            case LeaseEnd(batch=batch):
                self._end_lease(batch)
            case _:
                log.warning("passed over a %s", type(frame).__name__)

    def _enlist(self, enlistment: Lease) -> None:
        if not self._topology.is_ours(enlistment.queue):
            self._refuse(enlistment, f"{enlistment.queue!r} is no queue of imgbatch's")
        elif self._leases.renew(enlistment, time.monotonic()):
            log.info("working for batch %s of %s", enlistment.batch, enlistment.host)
            self._tell_workers(Serve(enlistment.batch, enlistment.queue))
            self._announce_after_seconds = 0.0

    def _refuse(self, enlistment: Lease, why: str) -> None:
        host = socket.gethostname()
        refusal = LeaseRefused(enlistment.batch, self._machine, host, why)
        self._publisher.post(
            Message(self._topology.clients, enlistment.topic, encode(refusal), mandatory=False)
        )

    def _end_lease(self, batch: str) -> None:
        if self._leases.end(batch):
            log.info("no longer working for batch %s", batch)
            self._tell_workers(Leave(batch))

    # Telling who we are

    def _announce_when_due(self, now: float) -> None:
        if self._metrics is not None:
            self._metrics.show(
                self._pool, self._throughput.images_per_second, len(self._leases.batches)
            )
        if now >= self._announce_after_seconds and self._pool.ready and self._is_listening:
            self._announce_after_seconds = now + ANNOUNCE_SECONDS
            self._announce(leaving=False)

    def _announce(self, *, leaving: bool) -> None:
        announcement = ServerStatus(
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
            batches=self._leases.batches[:100],
            leaving=leaving,
        )
        # While the broker takes nothing, announcements would pile up, each of them stale.
        if self._publisher.connection.problem is None:
            self._publisher.post(
                Message(self._topology.announcements, "", encode(announcement), mandatory=False)
            )

    def _drain(self) -> None:
        log.info("%s: leaving; finishing %d images", self._machine, self._pool.busy)
        self._announce(leaving=True)
        for worker in self._pool.workers:
            self._pool.dismiss(worker)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._pool.workers and time.monotonic() < deadline and self._stop_requests < 2:
            self._listen()
        log.info("%s: %d images done; bye", self._machine, self._pool.images)
