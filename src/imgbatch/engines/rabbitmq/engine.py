"""The run as a whole: its connections, its timers, and what it tells of itself."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from imgbatch.batch.model import Job
from imgbatch.batch.write import OutputPolicy as Placement
from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Consumer, Delivery, Subscription
from imgbatch.broker.publisher import Message, Publisher
from imgbatch.broker.topology import Topology
from imgbatch.engines.base import Listener, Stop
from imgbatch.engines.rabbitmq.desk import Desk
from imgbatch.engines.rabbitmq.machines import AGREED_SECONDS, MachineRegistry
from imgbatch.engines.rabbitmq.offers import Offers
from imgbatch.engines.rabbitmq.receiving import Writers
from imgbatch.engines.rabbitmq.sending import Courier, Feeder, Route
from imgbatch.engines.rabbitmq.stall import RunSnapshot, StallDetector
from imgbatch.errors import (
    Code,
    DamagedPayload,
    ProtocolError,
    UsageError,
    VersionMismatch,
)
from imgbatch.images.limits import Limits
from imgbatch.protocol import (
    BatchStatus,
    Chunk,
    Discover,
    Fetch,
    Frame,
    InProgress,
    Lease,
    LeaseEnd,
    LeaseRefused,
    Received,
    Result,
    Returned,
    ServerStatus,
    WorkerCrashed,
    encode,
)
from imgbatch.recipe import Recipe

if TYPE_CHECKING:
    from pika.channel import Channel

log = logging.getLogger(__name__)

TURN_SECONDS = 0.25
ENLIST_SECONDS = 5.0
LEASE_SECONDS = 30
"""How long a machine goes on without hearing from the client: six enlistments."""
NEWS_SECONDS = 3.0
COUNT_SECONDS = 5.0
"""How often the work queue is declared again, which keeps it from expiring and counts the tickets
that wait in it."""
SILENT_SECONDS = 30.0
"""How long an image may show no sign before its ticket is published again: six times a worker
would have said that he has it. A worker that still has the first ticket is not disturbed; whoever
gets the second has to ask before he begins."""
RECOVERY_SECONDS = 12.0
"""The same after a connection was lost, by when everybody who still has tickets has said so."""
INBOX_PREFETCH = 16
"""Frames of at most 1 MiB that wait here to be written."""


@dataclass(frozen=True, slots=True)
class RabbitOptions:
    """What a run through RabbitMQ can be told.

    Parameters
    ----------
    broker
        The broker's URL.
    machines
        How many machines may work at a time; None for all.
    timeout_seconds
        How long no machine may take part before the run gives up; None for ever.
    mixed_fleet
        Machines that compute different bits may work together.
    prefix
        Of all names on the broker.
    """

    broker: str
    machines: int | None = None
    timeout_seconds: float | None = None
    mixed_fleet: bool = False
    prefix: str = "imgbatch."


class RabbitEngine:
    """Runs a batch on the machines that listen on a broker.

    Parameters
    ----------
    options
        Which broker, and how.
    limits
        What is too large to be sent; the servers have limits of their own.
    delivery
        How results are put into the output folder.
    """

    name = "rabbitmq"

    def __init__(self, options: RabbitOptions, limits: Limits, delivery: Placement) -> None:
        Address(options.broker).parameters("")  # refuses what makes no sense, before a run begins
        if options.machines is not None and options.machines < 1:
            raise UsageError(Code.BAD_OPTION, f"machines is {options.machines}; it takes 1 or more")
        self._options = options
        self._limits = limits
        self._placement = delivery

    def run(self, jobs: Iterable[Job], recipe: Recipe, listener: Listener, stop: Stop) -> None:
        """Process every job; see `imgbatch.engines.base.Engine`."""
        desk = Desk(
            Offers(), MachineRegistry(self._options.machines, self._options.mixed_fleet), listener
        )
        run = _Run(self._options, self._limits, self._placement, recipe, desk)
        try:
            run.work(jobs, stop)
        finally:
            run.end()
        if desk.error is not None:
            raise desk.error


class _Run:
    """One run of the engine."""

    def __init__(
        self,
        options: RabbitOptions,
        limits: Limits,
        placement: Placement,
        recipe: Recipe,
        desk: Desk,
    ) -> None:
        self._options = options
        self._desk = desk
        self._topology = Topology(options.prefix)
        batch = uuid.uuid4().hex
        self._route = Route(
            batch, uuid.uuid4().hex, self._topology.work_queue(batch), recipe, limits
        )
        address = Address(options.broker)
        name = f"imgbatch-client-{batch}"
        self._publisher = Publisher(address, f"{name}-out", self._declare)
        self._consumer = Consumer(
            address, f"{name}-in", self._topology.declare_exchanges, lost=self._lost
        )
        self._announcements = Subscription(
            queue="announcements",
            declare=partial(
                self._topology.declare_private_queue, exchange=self._topology.announcements
            ),
            received=self._on_announcement,
            unreadable=self._on_unreadable_announcement,
            prefetch=0,
            private=partial(self._topology.private_queue, "listener"),
            started=self._on_listening,
        )
        self._feeder = Feeder(self._route, desk, self._publisher, self._on_queue_gone)
        self._courier = Courier(desk, self._publisher, self._feeder)
        self._writers = Writers(desk, placement, self._consumer.acknowledge, desk.spoil)
        self._due: dict[str, float] = {}
        self._begun_seconds = time.monotonic()
        self._stall = StallDetector(address, options.timeout_seconds, self._begun_seconds)
        self._said: str | None = None
        self._foreign = ""
        self._listening = False

    def work(self, jobs: Iterable[Job], stop: Stop) -> None:
        """Go on until every job has ended, or nobody can go on, or `stop`."""
        self._connect()
        self._feeder.start(jobs)
        while not self._desk.is_over and not stop.now.is_set():
            if stop.gently.is_set():
                self._desk.stop()
                if self._trouble or not self._desk.fleet.working:
                    break  # nobody finishes what is at hand
            now = time.monotonic()
            self._check_broker()
            self._enlist(now)
            self._count_tickets(now)
            self._look_for_lost(now)
            self._tell(now)
            is_collecting = self._desk.fleet.is_collecting(now)
            self._desk.wait(AGREED_SECONDS if is_collecting else TURN_SECONDS)
        self._desk.settle()
        self._desk.machines(self._desk.fleet.uses)

    def end(self) -> None:
        """Let the machines go and leave nothing behind, on the broker or on the disk."""
        self._desk.stop()
        self._courier.stop()
        for announcement in self._desk.fleet.leased:
            self._send_to(announcement.queue, LeaseEnd(self._route.batch))
        self._announce_news(ended=True)
        self._publisher.connection.call_threadsafe(self._delete_work_queue)
        if self._publisher.connection.problem is None:
            self._publisher.flush(2.0)
        self._consumer.close(2.0)
        self._publisher.close(2.0)
        self._courier.join(2.0)
        self._writers.stop()

    # Connections

    def _connect(self) -> None:
        self._publisher.start()
        self._consumer.start()
        self._writers.start()
        self._courier.start()
        topology = self._topology
        self._consumer.subscribe(
            Subscription(
                queue="inbox",
                declare=partial(
                    topology.declare_private_queue,
                    exchange=topology.clients,
                    topic=self._route.topic,
                ),
                received=self._on_frame,
                unreadable=self._on_unreadable,
                prefetch=INBOX_PREFETCH,
                private=partial(topology.private_queue, "client"),
            )
        )
        self._consumer.subscribe(self._announcements)

    def _declare(self, channel: Channel) -> None:
        # On every new channel: exchanges and the batch's queue are there before anything is sent.
        self._topology.declare_exchanges(channel)
        self._topology.declare_work_queue(channel, self._route.work_queue)
        self._begin_anew()

    def _lost(self) -> None:
        self._listening = False
        self._desk.offers.forgive()

    def _on_listening(self) -> None:
        # Not before: whoever answers a call at once must find our queues bound.
        self._listening = True
        self._doubt_all(time.monotonic())
        self._begin_anew()

    def _on_queue_gone(self) -> None:
        self._due.pop("count", None)
        self._due.pop("enlist", None)

    def _begin_anew(self) -> None:
        self._due.clear()
        self._desk.wake()

    def _delete_work_queue(self) -> None:
        channel = self._publisher.connection.channel
        if channel is not None and channel.is_open:
            channel.queue_delete(self._route.work_queue)

    def _send_to(self, queue: str, frame: Frame) -> None:
        self._publisher.post(Message("", queue, encode(frame), mandatory=False))

    def _check_broker(self) -> None:
        for link in (self._publisher.connection, self._consumer.connection):
            if link.fatal_error is not None:
                raise link.fatal_error

    # What arrives, on the consumer's thread

    def _on_frame(self, received: Received, delivery: Delivery) -> None:
        frame = received.frame
        if getattr(frame, "batch", None) != self._route.batch:
            self._consumer.acknowledge(delivery)
        elif isinstance(frame, Result | Chunk):
            self._writers.put(delivery, received, frame.job)
        else:
            self._consumer.acknowledge(delivery)
            self._on_word(frame)

    def _on_unreadable(self, delivery: Delivery, error: ProtocolError) -> None:
        log.warning("passed over a message: %s", error)
        self._consumer.acknowledge(delivery)
        if isinstance(error, DamagedPayload) and isinstance(error.frame, Result | Chunk):
            self._desk.spoil(error.frame.job)

    def _on_word(self, frame: Frame) -> None:
        match frame:
            case Fetch():
                if self._topology.is_ours(frame.queue):
                    self._courier.request(frame)
            case InProgress(jobs=jobs):
                self._desk.offers.hold(jobs, time.monotonic())
            case Returned(jobs=jobs):
                self._desk.offers.excuse(jobs)
            case WorkerCrashed():
                log.info("%s: %s", frame.machine, frame.sentence)
                self._desk.offers.mourn(frame.job, frame.code, frame.sentence)
            case LeaseRefused():
                self._desk.fleet.refuse(frame.machine, frame.sentence)
            case _:
                log.warning("passed over a %s", type(frame).__name__)

    def _on_unreadable_announcement(self, _delivery: Delivery, error: ProtocolError) -> None:
        log.warning("passed over an announcement: %s", error)
        if isinstance(error, VersionMismatch):
            self._foreign = str(error)

    def _on_announcement(self, received: Received, _delivery: Delivery) -> None:
        frame = received.frame
        if isinstance(frame, ServerStatus) and self._topology.is_ours(frame.queue):
            if self._desk.fleet.hear(frame, time.monotonic()):
                self._due.pop("enlist", None)
                self._desk.wake()
        elif isinstance(frame, Discover):
            self._due.pop("news", None)

    # What has to be done from time to time, on the run's own thread

    def _is_due(self, what: str, now: float, every_seconds: float) -> bool:
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_seconds
        return True

    def _enlist(self, now: float) -> None:
        # What is said to a broker that takes nothing would be said to it again and again.
        if not self._listening or self._publisher.connection.problem:
            return
        if not self._desk.fleet.working and self._is_due("call", now, ENLIST_SECONDS):
            body = encode(Discover(self._announcements.queue))
            self._publisher.post(Message(self._topology.calls, "", body, mandatory=False))
        if self._desk.fleet.is_collecting(now) or not self._is_due("enlist", now, ENLIST_SECONDS):
            return
        enlistment = Lease(
            self._route.batch,
            self._route.work_queue,
            self._route.topic,
            LEASE_SECONDS,
            socket.gethostname(),
        )
        for forgotten in self._desk.fleet.update(now):
            self._send_to(forgotten.queue, LeaseEnd(self._route.batch))
        for announcement in self._desk.fleet.leased:
            self._send_to(announcement.queue, enlistment)
        self._desk.wake()

    def _look_for_lost(self, now: float) -> None:
        # Nothing is lost before somebody could have said that he has it.
        if not self._desk.fleet.working or self._trouble:
            return
        lost = self._desk.offers.lost(now - SILENT_SECONDS, now)
        if lost:
            log.info("%d images were lost; offering them again", len(lost))
        for offer in lost:
            self._courier.request(offer)

    def _count_tickets(self, now: float) -> None:
        if self._is_due("count", now, COUNT_SECONDS):
            # Not on the publisher's link: an alarm would keep the queue from living on.
            self._consumer.connection.call_threadsafe(self._declare_work_queue)

    def _declare_work_queue(self) -> None:
        channel = self._consumer.connection.channel
        if channel is not None and channel.is_open:
            self._topology.declare_work_queue(channel, self._route.work_queue, self._on_count)

    def _on_count(self, messages: int, consumers: int) -> None:
        now = time.monotonic()
        self._desk.offers.count_waiting(messages, now)
        if not consumers and self._desk.fleet.working:
            # The queue is a new one, and its workers were never told.
            self._doubt_all(now)
            self._due.pop("enlist", None)

    def _doubt_all(self, now: float) -> None:
        self._desk.offers.doubt_all(now - SILENT_SECONDS + RECOVERY_SECONDS)

    # What is told

    def _tell(self, now: float) -> None:
        desk = self._desk
        if self._is_due("machines", now, 1.0):
            desk.machines(desk.fleet.uses)
        if self._is_due("news", now, NEWS_SECONDS):
            self._announce_news(ended=False)
        foreign = [self._foreign] if self._foreign else []
        snapshot = RunSnapshot(
            progress=(desk.done, len(desk.offers)),
            problem=self._trouble,
            working=desk.fleet.working,
            refusals=desk.fleet.refusals or foreign,
            in_flight=len(desk.offers),
        )
        why = self._stall.explain(snapshot, now)
        if why != self._said:
            self._said = why
            desk.waiting(why)

    @property
    def _trouble(self) -> str | None:
        return self._consumer.connection.problem or self._publisher.connection.problem

    def _announce_news(self, *, ended: bool) -> None:
        if self._publisher.connection.problem:
            return
        progress = self._desk.progress()
        news = BatchStatus(
            batch=self._route.batch,
            host=socket.gethostname(),
            total=progress.total,
            scanning=progress.scanning,
            done=progress.done,
            failed=progress.failed,
            machines=self._desk.fleet.working,
            seconds=time.monotonic() - self._begun_seconds,
            ended=ended,
        )
        self._publisher.post(
            Message(self._topology.announcements, "", encode(news), mandatory=False)
        )
