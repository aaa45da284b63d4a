"""One worker process: it takes tickets, gets their images, computes, and sends the results.

Five threads. The consumer's owns the session, which decides all there is to decide, and hears the
supervisor; the publisher's sends; the main one computes, with the interpreter's lock released, so
that heartbeats go on. Two more read the next image and write the last result, where their ticket
only says where these lie. They only hand things over: images through queues, events to the session
through `Connection.call_threadsafe`.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection

from msgspec.structs import replace

from imgbatch.broker.address import Address
from imgbatch.broker.bundler import Bundler
from imgbatch.broker.consumer import Delivery, Subscription
from imgbatch.broker.endpoint import Endpoint
from imgbatch.broker.publisher import Message, Settlement
from imgbatch.broker.topology import OWN_NAME, Topology
from imgbatch.errors import ImgbatchError
from imgbatch.fingerprint import warm_up
from imgbatch.images.failures import as_image_errors
from imgbatch.images.formats import HEAD_BYTES, name_notes
from imgbatch.logs import log_to_stderr
from imgbatch.pipeline import Processed
from imgbatch.protocol import worker_session as session
from imgbatch.protocol.codec import Received, encode
from imgbatch.protocol.delivery import Settle
from imgbatch.protocol.frames import Result, ResultKind
from imgbatch.protocol.worker_session import PendingTicket, WorkerSession
from imgbatch.server.answers import LARGEST_BUNDLED_BYTES, Answerer, frames_of
from imgbatch.server.durations import FETCH, WAIT, histogram_of
from imgbatch.server.messages import (
    BatchGone,
    Drain,
    Leave,
    Serve,
    ServerSettings,
    WorkerCommand,
)
from imgbatch.server.references import read_referenced, write_referenced
from imgbatch.storage import store
from imgbatch.storage.places import location_of_url
from imgbatch.storage.reference import Reference
from imgbatch.storage.store import Attributes
from imgbatch.workers.process import Ready
from imgbatch.workers.status import WorkerStatus

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
IDLE_CHECK_SECONDS = 5.0
"""How often an idle worker makes sure that its subscriptions are alive."""
FLUSH_SECONDS = 20.0


def main(settings: ServerSettings, machine: str, pipe: Connection, status: WorkerStatus) -> None:
    """Run a worker until its supervisor tells it to drain, or is gone."""
    log_to_stderr(settings.verbose, settings.log_format)
    worker = Worker(settings, machine, pipe, status)
    # Not into the status: another thread waits than the one whose image is timed.
    store.on_waiting = worker.note_waiting
    worker.run()


@dataclass(slots=True, eq=False)
class Task:
    """An image that is to be computed, and what its ticket only names.

    Parameters
    ----------
    attributes
        Of the object that it was read from.
    error
        Why it could not be read.
    """

    pending: PendingTicket
    reference: Reference = field(default_factory=Reference)
    attributes: Attributes = field(default_factory=dict)
    error: ImgbatchError | None = None


class Worker:
    """The threads around a session.

    Parameters
    ----------
    settings
        Those of the server.
    machine
        The id that results carry.
    pipe
        To and from the supervisor.
    status
        Where the supervisor sees what is computed.
    """

    def __init__(
        self, settings: ServerSettings, machine: str, pipe: Connection, status: WorkerStatus
    ) -> None:
        self._prefetch = settings.prefetch
        self._status = status
        self._pipe = pipe
        self._topology = Topology(settings.prefix)
        self._session = WorkerSession(machine, settings.limits.max_bytes)
        self._answerer = Answerer(machine, settings.limits)
        self._allowed = settings.allow
        self._max_bytes = settings.limits.max_bytes
        self._waits_for = ""
        self._to_read: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._images: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._to_write: queue.Queue[tuple[Task, Result, Processed] | None] = queue.Queue(1)
        self._reader, self._writer = (
            threading.Thread(target=_or_end, args=(work,), daemon=True)
            for work in (self._read_images, self._write_results)
        )
        self._queues: dict[str, str] = {}
        self._secrets: dict[str, bytes] = {}  # of batches that are served, or were lately
        self._busy_seconds = time.monotonic()
        self._endpoint = Endpoint(
            Address(settings.broker),
            self._topology,
            f"imgbatch-worker-{machine}-{os.getpid()}",
            self._secrets,
            lost=self._on_connection_lost,
        )
        self._publisher, self._consumer = self._endpoint.publisher, self._endpoint.consumer
        self._bundler = Bundler(self._publisher, self._topology.to_clients)
        self._inbox = self._endpoint.listen(
            "worker",
            self._on_private,
            [(self._topology.to_servers, OWN_NAME)],
            started=self._on_connected,
        )

    # On the main thread

    def run(self) -> None:
        """Compute until told to drain."""
        # Here as well as in the supervisor's trial, so that no image's time limit pays for it. And
        # before any thread: OpenCV's import changes sys.path and sys.modules for a while.
        warm_up()
        self._pipe.send(Ready())
        connection = self._consumer.connection
        self._reader.start()
        self._writer.start()
        self._endpoint.start()
        connection.watch(self._pipe.fileno(), self._on_order)
        connection.call_every(TICK_SECONDS, self._tick)
        while (task := self._images.get()) is not None:
            self._process(task)
        self._to_write.put(None)
        self._writer.join()
        self._bundler.flush()
        self._publisher.flush(FLUSH_SECONDS)
        self._endpoint.close()

    def _process(self, task: Task) -> None:
        pending = task.pending
        ticket = pending.ticket
        self._status.begin(ticket.batch, ticket.job)
        self._status.observe(WAIT, time.monotonic() - pending.taken_seconds)
        if pending.fetched_seconds:
            self._status.observe(FETCH, pending.fetched_seconds - pending.first_asked_seconds)
        result, made = self._answerer.answer(ticket, pending.image, task.error)
        # Before the result is published: a broker that takes nothing for minutes is no reason to
        # kill the worker for being slow.
        self._status.end(result.seconds)
        self._status.observe(histogram_of(pending.image, result.kind), result.seconds)
        ids = {"batch": ticket.batch, "job": ticket.job}
        told = {"status": str(result.kind), "code": result.code, "seconds": result.seconds}
        log.debug(
            "image %d of batch %s: %s", ticket.job, ticket.batch, result.kind, extra=ids | told
        )
        if result.kind == ResultKind.DONE and task.reference.target:
            self._to_write.put((task, result, made))
        else:
            self._publish(pending, result, made.data, made.thumbnails)
        self._consumer.connection.call_threadsafe(lambda: self._on_computed(pending))

    def _publish(
        self,
        pending: PendingTicket,
        result: Result,
        data: bytes,
        thumbnails: tuple[bytes, bytes] | None,
    ) -> None:
        frames = frames_of(result, data, thumbnails, self._secrets)
        answered = partial(self._on_answered, pending)
        # The result of a redelivered ticket never waits: the next image may kill this worker, too.
        if len(data) <= LARGEST_BUNDLED_BYTES and not pending.redelivered:
            self._bundler.add(self._topic_of(result.batch), b"".join(frames), answered)
        else:
            messages = (self._to_client(result.batch, frame) for frame in frames)
            self._publisher.publish_all(messages, answered)

    def _topic_of(self, batch: str) -> str:
        return self._topology.topic(self._secrets[batch])

    def _to_client(self, batch: str, body: bytes, mandatory: bool = True) -> Message:
        return Message(self._topology.to_clients, self._topic_of(batch), body, mandatory)

    # On the reader's and the writer's threads

    def note_waiting(self, why: str) -> None:
        """Take note of a store that is waited for; clients are told."""
        self._waits_for = why
        if why:
            log.info("%s", why)

    def _read_images(self) -> None:
        while (task := self._to_read.get()) is not None:
            try:
                with as_image_errors():
                    task.reference = Reference.from_fields(task.pending.ticket.reference)
                    if task.reference.source:
                        data, task.attributes = read_referenced(
                            task.reference, self._allowed, self._max_bytes
                        )
                        task.pending.image = memoryview(data)
            except ImgbatchError as error:
                task.error = error
            self._images.put(task)
        self._images.put(None)

    def _write_results(self) -> None:
        while (item := self._to_write.get()) is not None:
            task, result, made = item
            pending, target = task.pending, task.reference.target
            again = pending.redelivered or pending.ticket.attempt > 0
            try:
                with as_image_errors():
                    size_bytes = write_referenced(
                        task.reference, made.data, task.attributes, self._allowed, again=again
                    )
                notes = name_notes(location_of_url(target).suffix, made.data[:HEAD_BYTES])
                result = replace(
                    result,
                    kind=ResultKind.WRITTEN,
                    size_bytes=size_bytes,
                    notes=(*result.notes, *notes),
                )
            except ImgbatchError as error:
                begun_seconds = time.monotonic() - result.seconds
                result = self._answerer.failure(pending.ticket, begun_seconds, error)
            self._publish(pending, result, b"", made.thumbnails)
            if self._to_write.empty():
                self._consumer.connection.call_threadsafe(self._flush_if_idle)

    # From any thread

    def _tell(self, event: Callable[[], list[session.Action]]) -> None:
        """Have the session hear of an event; from any thread."""
        self._consumer.connection.call_threadsafe(lambda: self._perform(event()))

    # On the publisher's thread

    def _on_answered(self, pending: PendingTicket, settlement: Settlement) -> None:
        fatal_error = self._publisher.connection.fatal_error
        if settlement is Settlement.REFUSED and fatal_error is not None:
            # The broker takes no result so large. It would take no other worker's, either.
            failure = self._answerer.failure(pending.ticket, time.monotonic(), fatal_error)
            frame = encode(failure, secrets=self._secrets)
            message = self._to_client(failure.batch, frame)
            self._publisher.post(message, partial(self._on_settled, pending))
        else:
            self._on_settled(pending, settlement)

    def _on_settled(self, pending: PendingTicket, settlement: Settlement) -> None:
        confirmed = settlement is Settlement.CONFIRMED
        self._tell(lambda: self._session.answered(pending, time.monotonic(), confirmed=confirmed))

    def _on_asked(self, batch: str, settlement: Settlement) -> None:
        if settlement is not Settlement.CONFIRMED:
            self._tell(lambda: self._session.client_gone(batch, time.monotonic()))

    # On the consumer's thread

    def _perform(self, actions: list[session.Action]) -> None:
        for action in actions:
            match action:
                case session.Compute(pending):
                    queued = self._to_read if pending.ticket.reference else self._images
                    queued.put(Task(pending))
                case Settle(Delivery() as delivery, answer):
                    self._consumer.answer(answer, delivery)
                case session.Send(frame, needed):
                    body = encode(frame, secrets=self._secrets)
                    message = self._to_client(frame.batch, body, needed)
                    self._publisher.post(message, partial(self._on_asked, frame.batch))
                case session.LeaveBatch(batch):
                    sentence = "batch %s is left: its results are not taken any more"
                    log.info(sentence, batch, extra={"batch": batch})
                    self._unsubscribe(batch)
                    self._pipe.send(BatchGone(batch))

    def _on_computed(self, pending: PendingTicket) -> None:
        self._perform(self._session.computed(pending, time.monotonic()))
        self._flush_if_idle()

    def _flush_if_idle(self) -> None:
        if not self._session.computing:
            self._bundler.flush()  # it may be long until the next result

    def _on_order(self) -> None:
        """Follow the supervisor's order; when it is gone, so is this process."""
        try:
            order: WorkerCommand = self._pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        match order:
            case Serve():
                self._serve(order)
            case Leave():
                self._unsubscribe(order.batch)
                self._recall()
                self._perform(self._session.leave(order.batch, time.monotonic()))
            case Drain():
                for batch in list(self._queues):
                    self._unsubscribe(batch)
                self._recall()
                self._perform(self._session.drain(time.monotonic()))
                self._to_read.put(None)

    def _serve(self, order: Serve) -> None:
        self._session.serve(order.batch)
        self._secrets[order.batch] = order.secret
        self._queues[order.batch] = work_queue = self._topology.work_queue(order.secret)
        self._consumer.subscribe(
            Subscription(
                queue=work_queue,
                declare=self._topology.declare_work_queue,
                received=partial(self._on_ticket, order.batch),
                prefetch=self._prefetch,
                cancelled=partial(self._on_queue_gone, order.batch),
            )
        )

    def _unsubscribe(self, batch: str) -> None:
        work_queue = self._queues.pop(batch, None)
        if work_queue is not None:
            self._consumer.unsubscribe(work_queue)

    def _recall(self) -> None:
        """Take back what was handed out and is not begun."""
        for waiting in (self._to_read, self._images):
            with suppress(queue.Empty):
                while (task := waiting.get_nowait()) is not None:
                    self._session.recall(task.pending)
                waiting.put(None)  # the end stays the last

    def _on_queue_gone(self, batch: str, _queue: str) -> None:
        self._queues.pop(batch, None)
        self._recall()
        self._perform(self._session.queue_gone(batch, time.monotonic()))
        self._pipe.send(BatchGone(batch))

    def _on_connected(self) -> None:
        self._perform(self._session.connected(self._inbox.queue, time.monotonic()))

    def _on_connection_lost(self) -> None:
        self._recall()
        self._perform(self._session.connection_lost(time.monotonic()))

    def _on_ticket(self, batch: str, received: Received, delivery: Delivery) -> None:
        now = self._busy_seconds = time.monotonic()
        redelivered = delivery.redelivered
        self._perform(self._session.take(batch, received, delivery, redelivered, now))

    def _on_private(self, received: Received, _delivery: Delivery) -> None:
        now = time.monotonic()
        self._perform(self._session.receive(received.frame, received.payload, now))

    def _tick(self) -> None:
        now = time.monotonic()
        self._bundler.flush()  # the image that is computed may take a minute
        self._perform(self._session.tick(now))
        if self._publisher.connection.problem is None:
            self._perform(self._session.in_progress(now, self._waits_for))
        if self._session.pending:
            self._busy_seconds = now
        elif now - self._busy_seconds >= IDLE_CHECK_SECONDS:
            self._busy_seconds = now
            for batch in self._secrets.keys() - self._queues.keys():
                del self._secrets[batch]
            for work_queue in self._queues.values():
                self._consumer.renew_if_ready(work_queue)


def _or_end(work: Callable[[], None]) -> None:
    """Do a thread's work; if it fails, end the process, which the supervisor replaces."""
    try:
        work()
    except BaseException:
        log.exception("a worker's thread failed")
        os._exit(1)
