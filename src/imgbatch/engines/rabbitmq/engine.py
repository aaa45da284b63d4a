"""The run as a whole: the threads around a session, its timers, and what it tells of itself.

The thread of the consuming connection owns the session, which decides what becomes of each image,
and the machines. The reader's and the writer's move bytes, the publisher's sends, the run's own
waits. They hand one another requests, and events to the session through `_Run.tell`.
"""

from __future__ import annotations

import logging
import math
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgbatch.batch.model import Outcome, Status
from imgbatch.batch.write import OutputPolicy
from imgbatch.broker.address import Address
from imgbatch.broker.consumer import Delivery, Subscription
from imgbatch.broker.endpoint import Endpoint
from imgbatch.broker.topology import DISCOVER, OWN_NAME, STATUS, Topology
from imgbatch.engines.base import JobSource, Listener, Stop
from imgbatch.engines.rabbitmq.machines import AGREED_SECONDS, MachineRegistry
from imgbatch.engines.rabbitmq.reading import Reader, Route
from imgbatch.engines.rabbitmq.stall import StallDetector
from imgbatch.engines.rabbitmq.writing import Writer
from imgbatch.errors import Code, ImgbatchError, ProtocolError, UsageError, VersionMismatch
from imgbatch.images.limits import Limits
from imgbatch.logs import SaidOnce
from imgbatch.protocol import client_session as session
from imgbatch.protocol.client_session import ClientSession
from imgbatch.protocol.codec import Received
from imgbatch.protocol.delivery import Answer, Settle
from imgbatch.protocol.fields import SECRET_BYTES
from imgbatch.protocol.frames import (
    STATUS_SECONDS,
    BatchStatus,
    Discover,
    Fetch,
    InProgress,
    Lease,
    LeaseEnd,
    LeaseRefused,
    ServerStatus,
    WorkerCrashed,
)
from imgbatch.recipe import Recipe
from imgbatch.storage.places import Location, url_of

if TYPE_CHECKING:
    from pika.channel import Channel

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
RENEW_SECONDS = 5.0
"""How often machines are leased again, or looked for while there are none; and how often the work
queue is declared again, which keeps it from expiring."""
LEASES_PER_SECOND = 20
"""That a client renews, of all machines together: of more than 100, each less often than every
`RENEW_SECONDS`."""
RENEWALS = 6
"""That a machine may miss before it goes on without the client."""
MACHINES_SECONDS = 1.0
ASKED_STATUS_SECONDS = 1.0
"""How often the run tells its status, at most and if it is asked; else each `STATUS_SECONDS`."""
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
    direct
        Have the machines read and write the folders themselves, which all must have mounted.
    prefix
        Of all names on the broker.
    """

    broker: str
    machines: int | None = None
    timeout_seconds: float | None = None
    mixed_fleet: bool = False
    direct: bool = False
    prefix: str = "imgbatch."


class RabbitEngine:
    """Runs a batch on the machines that listen on a broker.

    Parameters
    ----------
    options
        Which broker, and how.
    limits
        What is too large to be sent; the servers have limits of their own.
    policy
        How results are put into the output folder.
    source, target
        INPUT and OUTPUT, of which machines are asked whether they may touch what is in a store, or
        in folders that they are to use themselves.
    """

    name = "rabbitmq"

    def __init__(
        self,
        options: RabbitOptions,
        limits: Limits,
        policy: OutputPolicy,
        source: Location = Path(),
        target: Location = Path(),
    ) -> None:
        Address(options.broker).parameters("")  # refuses what makes no sense, before a run begins
        if options.machines is not None and options.machines < 1:
            raise UsageError(Code.BAD_OPTION, f"machines is {options.machines}; it takes 1 or more")
        self._options = options
        self._limits = limits
        self._policy = policy
        self._places = (source, target)

    def run(self, jobs: JobSource, recipe: Recipe, listener: Listener, stop: Stop) -> None:
        """Process every job; see `imgbatch.engines.base.Engine`."""
        run = _Run(self._options, self._limits, self._policy, recipe, listener, jobs, self._places)
        try:
            run.work(stop)
        finally:
            run.end()
        if run.error is not None:
            raise run.error


class _Run:
    """One run of the engine."""

    def __init__(
        self,
        options: RabbitOptions,
        limits: Limits,
        policy: OutputPolicy,
        recipe: Recipe,
        listener: Listener,
        jobs: JobSource,
        places: tuple[Location, Location],
    ) -> None:
        self.error: BaseException | None = None
        self._listener = listener
        address = Address(options.broker)
        self._topology = topology = Topology(options.prefix)
        self._secret = secrets.token_bytes(SECRET_BYTES)
        self._route = Route(self._secret, topology, recipe, limits, policy, options.direct)
        batch = listener.tally.batch = self._route.batch
        referenced = [it for it in places if self._route.is_referenced(it)]
        self._places = tuple(map(url_of, referenced))
        self._session = ClientSession(batch)
        self._machines = MachineRegistry(options.machines, options.mixed_fleet)
        self._endpoint = Endpoint(
            address,
            topology,
            f"imgbatch-client-{batch}",
            self._route.secrets,
            self._declare,
            self._on_connection_lost,
        )
        self._connection = self._endpoint.consumer.connection  # its thread owns the session
        self._announcements = self._listen()
        self._writer = Writer(
            policy,
            listener,
            self._on_written,
            self._abort,
            by_machines=places[1] in referenced,
        )
        self._reader = Reader(
            self._route,
            jobs,
            self._endpoint.publisher,
            listener.tally,
            self.tell,
            self._writer.refuse,
            self._abort,
        )
        self._begun_seconds = time.monotonic()
        self._stall = StallDetector(address, options.timeout_seconds, self._begun_seconds)
        self._status_seconds = 0.0
        self._is_asked = False
        self._leased: dict[str, ServerStatus] = {}
        self._over = threading.Event()
        self._done = 0
        self._said: str | None = None
        self._said_crashes = SaidOnce()
        self._waits_for = ""
        self._foreign: list[str] = []
        self._listening = False
        self._renewal_seconds = 0.0

    def _listen(self) -> Subscription:
        """Receive from the run's two queues; return the subscription to what is for all."""
        to_clients, batches = self._topology.to_clients, self._topology.batches
        own = [(to_clients, self._topology.topic(self._secret))]
        self._endpoint.listen("client", self._on_frame, own, prefetch=INBOX_PREFETCH)
        return self._endpoint.listen(
            "listener",
            self._on_announcement,
            [(to_clients, OWN_NAME), (to_clients, STATUS), (batches, DISCOVER)],
            started=self._on_listening,
            unreadable=self._on_unreadable_announcement,
        )

    # On the run's own thread

    def work(self, stop: Stop) -> None:
        """Go on until every job has ended, the run can not go on, or `stop`."""
        self._endpoint.start()
        self._writer.start()
        self._reader.start()
        for seconds, function in (
            (TICK_SECONDS, self._tick),
            (RENEW_SECONDS, self._renew),
            (MACHINES_SECONDS, self._report_machines),
        ):
            self._connection.call_every(seconds, function)
        while not self._over.wait(TICK_SECONDS) and not stop.now.is_set():
            if stop.gently.is_set():
                self._reader.take_no_more()
                self.tell(ClientSession.all_drawn)
                if self._endpoint.problem or not self._leased:
                    break  # no worker would finish what is at hand

    def end(self) -> None:
        """Let the machines go and leave nothing behind, on the broker or on the disk."""
        self._reader.take_no_more()
        said = threading.Event()
        self._connection.call_threadsafe(self._end_leases)
        self._connection.call_threadsafe(said.set)
        said.wait(2.0)
        publisher = self._endpoint.publisher
        publisher.connection.call_threadsafe(self._delete_work_queue)
        if publisher.connection.problem is None:
            publisher.flush(2.0)
        self._endpoint.close(2.0)
        self._reader.stop(2.0)
        self._writer.stop(5.0)
        self._listener.machines(self._machines.uses)

    # From any thread

    def tell(self, event: Callable[[ClientSession], list[session.Action]]) -> None:
        """Have the session hear of an event."""
        self._connection.call_threadsafe(lambda: self._perform(event(self._session)))

    def _abort(self, error: BaseException) -> None:
        """End the run, which can not go on. The first error is the one that counts."""
        self.error = self.error or error
        self._over.set()

    def _on_written(self, outcomes: list[Outcome], deliveries: list[Any]) -> None:
        self._connection.call_threadsafe(partial(self._count, outcomes, deliveries))

    # On the publisher's thread

    def _declare(self, channel: Channel) -> None:
        # On every new channel: the batch's queue is there before anything is sent.
        self._topology.declare_work_queue(channel, self._route.work_queue)
        self._connection.call_threadsafe(self._renew)

    def _delete_work_queue(self) -> None:
        channel = self._endpoint.publisher.connection.channel
        if channel is not None and channel.is_open:
            channel.queue_delete(self._route.work_queue)

    # All that follows, on the consumer's thread

    def _perform(self, actions: list[session.Action]) -> None:
        for action in actions:
            match action:
                case session.Write() | session.KeepThumbnails() | session.Fail():
                    self._writer.put(action)
                case Settle(Delivery() as delivery, answer):
                    self._endpoint.consumer.answer(answer, delivery)
                case session.Draw() | session.Offer() | session.SendImage():
                    self._reader.put(action)
                case session.Renew():
                    self._renew()
                case session.SendCancel(queue, frame):
                    self._endpoint.post(self._topology.to_servers, queue, frame)
        if self._session.is_over:
            self._over.set()

    def _count(self, outcomes: list[Outcome], deliveries: list[Delivery]) -> None:
        self._endpoint.consumer.answer(Answer.ACKNOWLEDGE, *deliveries)
        self._done += len(outcomes)
        for outcome in outcomes:
            if outcome.machine:
                self._machines.count(outcome.machine, outcome.seconds)
        self._perform(self._session.ended([outcome.index for outcome in outcomes]))

    def _on_frame(self, received: Received, delivery: Delivery) -> None:
        frame, now = received.frame, time.monotonic()
        match frame:
            case LeaseRefused():
                self._machines.refuse(frame.machine, frame.sentence, now)
            case InProgress():
                told = f"{frame.machine}: {frame.waits_for}"
                self._waits_for = told if frame.waits_for else ""
            case WorkerCrashed():
                if self._said_crashes.is_new(frame):
                    log.info("%s: %s", frame.machine, frame.sentence)
            case Fetch() if not self._topology.is_ours(frame.queue):
                self._endpoint.consumer.answer(Answer.REJECT, delivery)
                return
        self._perform(self._session.receive(frame, received.payload, delivery, now))

    def _on_announcement(self, received: Received, _delivery: Delivery) -> None:
        frame, now = received.frame, time.monotonic()
        if isinstance(frame, ServerStatus) and self._topology.is_ours(frame.queue):
            if self._machines.hear(frame, now):
                self._lease()
                if self._machines.is_collecting(now):
                    self._connection.call_later(AGREED_SECONDS, self._lease)
        elif isinstance(frame, Discover):
            self._is_asked = True

    def _on_unreadable_announcement(self, error: ProtocolError) -> None:
        if isinstance(error, VersionMismatch):
            self._foreign = [str(error)]

    # Connections and queues that come and go

    def _on_connection_lost(self) -> None:
        self._listening = False
        self._perform(self._session.connection_lost())

    def _on_listening(self) -> None:
        # Not before: a server that answers at once must find our queues bound.
        self._listening = True
        self._renewal_seconds = 0.0
        self._perform(self._session.queue_lost(time.monotonic()))
        self._renew()

    def _on_declared(self, _messages: int, consumers: int) -> None:
        if not consumers and self._leased:
            # The queue is a new one, and its workers were never told.
            self._perform(self._session.queue_lost(time.monotonic()))
            self._lease(renew=True)

    # What has to be done from time to time

    def _tick(self) -> None:
        now = time.monotonic()
        try:
            if self._endpoint.fatal_error is not None:
                raise self._endpoint.fatal_error
            self._lease()
            self._perform(self._session.tick(now, connected=self._endpoint.problem is None))
            pause_seconds = ASKED_STATUS_SECONDS if self._is_asked else STATUS_SECONDS
            if now - self._status_seconds >= pause_seconds:
                self._announce_status(ended=False)
            self._report_stall(now)
        except ImgbatchError as error:
            self._abort(error)

    def _renew(self) -> None:
        """Keep leases and the work queue from expiring; look for machines if there are none."""
        if self._listening and not self._leased and not self._endpoint.publisher.connection.problem:
            discover = Discover(self._announcements.queue)
            self._endpoint.post(self._topology.to_servers, DISCOVER, discover)
        self._lease(renew=time.monotonic() >= self._renewal_seconds)
        # Not on the publisher's connection: an alarm would keep the queue from living on.
        channel = self._connection.channel
        if channel is not None and channel.is_open:
            self._topology.declare_work_queue(channel, self._route.work_queue, self._on_declared)

    def _lease(self, *, renew: bool = False) -> None:
        """Ask machines to work for this run, those that do already only to `renew`."""
        now, route, to_servers = time.monotonic(), self._route, self._topology.to_servers
        # What is said to a broker that takes nothing would be said to it again and again.
        if not self._listening or self._endpoint.publisher.connection.problem:
            return
        for forgotten in self._machines.update(now):
            self._endpoint.post(to_servers, forgotten.queue, LeaseEnd(route.batch, self._secret))
        before = {} if renew else self._leased
        self._leased = {machine.machine: machine for machine in self._machines.leased}
        pause_seconds = max(RENEW_SECONDS, len(self._leased) / LEASES_PER_SECOND)
        if renew:
            self._renewal_seconds = now + pause_seconds
        lease = Lease(
            batch=route.batch,
            secret=self._secret,
            lease_seconds=math.ceil(RENEWALS * pause_seconds),
            status_seconds=self._machines.status_seconds,
            host=socket.gethostname(),
            places=self._places,
        )
        for name, machine in self._leased.items():
            if name not in before:
                self._endpoint.post(to_servers, machine.queue, lease)
        self._perform(self._session.workers_changed(self._machines.procs))

    def _report_machines(self) -> None:
        self._writer.put(partial(self._listener.machines, self._machines.uses))

    def _report_stall(self, now: float) -> None:
        """Tell why nothing moves, if nothing does.

        Raises
        ------
        NoServerError, BrokerError
            If that has been so for too long.
        """
        why = self._stall.explain(
            now,
            done=self._done,
            in_flight=len(self._session),
            working=len(self._leased),
            refusals=self._machines.refusals or self._foreign,
            problem=self._endpoint.problem,
            waits_for=self._waits_for,
        )
        if why != self._said:
            self._said = why
            self._writer.put(partial(self._listener.waiting, why))

    def _announce_status(self, *, ended: bool) -> None:
        if self._endpoint.publisher.connection.problem:
            return
        self._status_seconds = time.monotonic()
        self._is_asked = False
        self._endpoint.post(self._topology.batches, STATUS, self._status(ended=ended))

    def _status(self, *, ended: bool) -> BatchStatus:
        tally = self._listener.tally
        return BatchStatus(
            batch=self._route.batch,
            host=socket.gethostname(),
            total=tally.planned_files,
            scanning=not tally.plan_complete,
            done=tally.done_files,
            failed=tally.ended[Status.FAILED],
            machines=len(self._leased),
            seconds=time.monotonic() - self._begun_seconds,
            ended=ended,
        )

    def _end_leases(self) -> None:
        for machine in self._leased.values():
            lease_end = LeaseEnd(self._route.batch, self._secret)
            self._endpoint.post(self._topology.to_servers, machine.queue, lease_end)
        self._announce_status(ended=True)
