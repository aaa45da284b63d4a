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
from typing import TYPE_CHECKING

from imgbatch.broker.address import DEFAULT_URL, Address
from imgbatch.broker.consumer import Consumer, Delivery, Subscription
from imgbatch.broker.publisher import Message, Publisher
from imgbatch.broker.topology import Topology
from imgbatch.cores import usable_cores
from imgbatch.errors import BrokerError, Code, EngineError
from imgbatch.images.limits import Limits
from imgbatch.processes import spared_from_interrupts, without_working_directory
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
from imgbatch.server.crew import Crew, Loss
from imgbatch.server.leases import Leases
from imgbatch.server.orders import ClientGone, Leave, QueueGone, Ready, Serve, WorkerSettings
from imgbatch.version import __version__

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from imgbatch.server.metrics import Metrics

log = logging.getLogger(__name__)

ANNOUNCE_SECONDS = 3.0
TICK_SECONDS = 0.5
DRAIN_SECONDS = 25.0
"""How long the images at hand may take after SIGTERM; the whole server leaves within 30 s."""
WARM_UP_SECONDS = 300.0


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


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a machine proves before it takes work: its pipeline's fingerprint."""

    digest: str
    components: dict[str, str]
    seconds: float


def warm_up() -> Fitness:
    """Compile or load everything that workers need, in a process of its own.

    Raises
    ------
    EngineError
        If that process fails; its log says why.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_prove_fitness, args=(theirs,), name="imgbatch-warm-up")
    begun = time.monotonic()
    with spared_from_interrupts(), without_working_directory():
        process.start()
    theirs.close()
    try:
        if not ours.poll(WARM_UP_SECONDS):
            raise EngineError(Code.ENGINE_FAILED, "the kernels could not be compiled in time")
        digest, components = ours.recv()
    except EOFError as error:
        raise EngineError(
            Code.ENGINE_FAILED, "the kernels could not be warmed up; the lines above say why"
        ) from error
    finally:
        process.kill()
        process.join()
    return Fitness(digest, components, time.monotonic() - begun)


def _prove_fitness(pipe: Connection) -> None:
    from imgbatch.fingerprint import warm_up as load_all

    fingerprint = load_all()
    pipe.send((fingerprint.digest, dict(fingerprint.versions)))


class Supervisor:
    """A server from its start to its end.

    Parameters
    ----------
    settings
        What it was told.
    fitness
        What `warm_up` found.
    metrics
        Where its figures are shown, if anywhere.
    """

    def __init__(
        self, settings: ServerSettings, fitness: Fitness, metrics: Metrics | None = None
    ) -> None:
        self._settings = settings
        self._fitness = fitness
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
        self._crew = Crew(
            settings.procs,
            WorkerSettings(
                settings.broker, settings.prefix, self._machine, settings.prefetch, settings.limits
            ),
            settings.image_timeout_seconds,
            settings.memory_bytes,
        )
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
        self._crew.fill([])  # before any thread of ours starts
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
            self._crew.kill()
            self._consumer.close()
            self._publisher.close()

    def _turn(self) -> None:
        for event in self._crew.watch(TICK_SECONDS, self._wake_reader):
            self._handle(event)
        while not self._frames.empty():
            self._obey(self._frames.get())
        now = time.monotonic()
        for batch in self._leases.expired(now):
            log.info("batch %s: its client has fallen silent", batch)
            self._end_lease(batch)
        self._crew.look_after()
        self._crew.fill(self._leases.orders())
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

    def _handle(self, event: object) -> None:
        match event:
            case Ready():
                self._announce_after_seconds = 0.0
            case Loss():
                self._report_loss(event)
            case ClientGone(batch=batch):
                self._end_lease(batch)
            case QueueGone(batch=batch):
                # Until its client has made the queue anew, and asks again.
                self._end_lease(batch)
            case _:
                pass

    def _report_loss(self, loss: Loss) -> None:
        topic = None if loss.held is None else self._leases.topic(loss.held.batch)
        if loss.held is None or topic is None:
            return
        casualty = WorkerCrashed(
            loss.held.batch, loss.held.job, self._machine, loss.code, loss.sentence
        )
        self._publisher.post(
            Message(self._topology.clients, topic, encode(casualty), mandatory=False)
        )

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
            self._crew.order(Serve(enlistment.batch, enlistment.queue))
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
            self._crew.order(Leave(batch))

    # Telling who we are

    def _announce_when_due(self, now: float) -> None:
        if self._metrics is not None:
            self._metrics.show(self._crew, len(self._leases.batches))
        if now >= self._announce_after_seconds and self._crew.ready and self._is_listening:
            self._announce_after_seconds = now + ANNOUNCE_SECONDS
            self._announce(leaving=False)

    def _announce(self, *, leaving: bool) -> None:
        tally = self._crew.tally
        announcement = ServerStatus(
            machine=self._machine,
            name=self._settings.name,
            host=socket.gethostname(),
            queue=self._inbox.queue,
            procs=self._settings.procs,
            busy=self._crew.busy,
            version=__version__,
            digest=self._fitness.digest,
            components=self._fitness.components,
            images=tally.images,
            busy_seconds=tally.busy_seconds,
            images_per_second=tally.images_per_second,
            batches=self._leases.batches[:100],
            leaving=leaving,
        )
        # While the broker takes nothing, announcements would pile up, each of them stale.
        if self._publisher.connection.problem is None:
            self._publisher.post(
                Message(self._topology.announcements, "", encode(announcement), mandatory=False)
            )

    def _drain(self) -> None:
        log.info("%s: leaving; finishing %d images", self._machine, self._crew.busy)
        self._announce(leaving=True)
        self._crew.drain()
        deadline = time.monotonic() + DRAIN_SECONDS
        while not self._crew.is_empty and time.monotonic() < deadline and self._stop_requests < 2:
            for event in self._crew.watch(TICK_SECONDS, self._wake_reader):
                self._handle(event)
        log.info("%s: %d images done; bye", self._machine, self._crew.tally.images)
