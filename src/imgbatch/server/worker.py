"""One worker process: it takes tickets, gets their images, computes, and sends the results.

Three threads. The consumer's and the publisher's move bytes, one direction each; the main one
computes, with the interpreter's lock released, so that heartbeats go on. A ticket is acknowledged
when the broker has confirmed every frame of its result, never before.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection

from imgbatch.broker.address import Address
from imgbatch.broker.bundler import Bundler
from imgbatch.broker.consumer import Consumer, Delivery, Subscription
from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.broker.topology import Topology
from imgbatch.errors import (
    Code,
    DamagedPayload,
    ImageError,
    LimitExceeded,
    ProtocolError,
    UsageError,
)
from imgbatch.fingerprint import warm_up
from imgbatch.pipeline import Pipeline
from imgbatch.protocol import (
    Cancel,
    Chunk,
    Fetch,
    InProgress,
    Received,
    Result,
    Returned,
    Ticket,
    encode,
)
from imgbatch.protocol.fields import MOST_NUMBERS
from imgbatch.recipe import Recipe
from imgbatch.server.answers import (
    LARGEST_BUNDLED_BYTES,
    failure_of,
    frames_of,
    result_of,
)
from imgbatch.server.board import Board
from imgbatch.server.hands import Hands, HeldTicket
from imgbatch.server.orders import (
    ClientGone,
    Drain,
    Leave,
    Order,
    QueueGone,
    Ready,
    Serve,
    Word,
    WorkerSettings,
)

log = logging.getLogger(__name__)

FETCH_PATIENCE_SECONDS = 10.0
"""How long an image that was asked for may show no sign before it is asked for again."""
FETCH_TIMES = 12
"""How often it is asked for: its client may have hundreds in line before it, and no other worker
would have it sooner. A client that is gone is noticed otherwise."""
HOLDING_SECONDS = 5.0
"""How often clients are told which of their images are in good hands."""
IDLE_CHECK_SECONDS = 5.0
"""How often an idle worker makes sure that its subscriptions are alive."""
FLUSH_SECONDS = 20.0


def main(settings: WorkerSettings, pipe: Connection, board: Board) -> None:
    """Run a worker until its supervisor tells it to drain, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Worker(settings, pipe, board).run()


class Worker:
    """The worker's state, and what its threads do with it.

    Parameters
    ----------
    settings
        From the supervisor.
    pipe
        To and from the supervisor.
    board
        Where the supervisor sees what is computed.
    """

    def __init__(self, settings: WorkerSettings, pipe: Connection, board: Board) -> None:
        self._settings = settings
        self._board = board
        self._pipe = pipe
        self._speaking = threading.Lock()
        self._topology = Topology(settings.prefix)
        self._hands = Hands(settings.limits.max_bytes)
        self._pipeline = Pipeline(settings.limits)
        self._queues: dict[str, str] = {}
        self._draining = threading.Event()
        self._last_delivery_seconds = time.monotonic()
        address = Address(settings.broker)
        name = f"imgbatch-worker-{settings.machine}-{os.getpid()}"
        self._publisher = Publisher(address, f"{name}-out", self._topology.declare_exchanges)
        self._bundler = Bundler(self._publisher, self._topology.clients)
        self._consumer = Consumer(address, f"{name}-in", lost=self._lost_all)
        self._inbox = Subscription(
            queue="",
            declare=self._topology.declare_private_queue,
            received=self._on_private,
            unreadable=self._on_unreadable_piece,
            prefetch=0,
            private=partial(self._topology.private_queue, "worker"),
        )

    def run(self) -> None:
        """Compute until told to drain."""
        # Here as well as in the supervisor's trial, so that no image's time limit pays for it. And
        # before any thread: OpenCV's import changes sys.path and sys.modules for a while.
        warm_up()
        self._publisher.start()
        self._consumer.start()
        self._consumer.subscribe(self._inbox)
        threading.Thread(target=self._obey, name="orders", daemon=True).start()
        threading.Thread(target=self._tell_holdings, name="holdings", daemon=True).start()
        self._say(Ready())
        while not self._draining.is_set():
            held = self._hands.next(timeout_seconds=0.0)
            if held is None or held.suspect:
                self._bundler.flush()  # nobody knows how long it will be until the next result
            if held is None:
                held = self._hands.next(timeout_seconds=1.0)
            if held is not None:
                self._process(held)
            else:
                self._look_after_idleness()
            self._ask_again()
        self._end()

    def _obey(self) -> None:
        """Follow the supervisor's orders; when it is gone, so is this process."""
        while True:
            try:
                order: Order = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(1)
            match order:
                case Serve():
                    self._serve(order)
                case Leave():
                    self._leave(order.batch)
                case Drain():
                    self._draining.set()
                    self._hands.interrupt()

    def _say(self, word: Word) -> None:
        with self._speaking:
            self._pipe.send(word)

    def _serve(self, order: Serve) -> None:
        self._queues[order.batch] = order.queue
        self._consumer.subscribe(
            Subscription(
                queue=order.queue,
                declare=self._topology.declare_work_queue,
                received=partial(self._on_ticket, order.batch),
                unreadable=self._on_unreadable_ticket,
                prefetch=self._settings.prefetch,
                cancelled=partial(self._on_queue_gone, order.batch),
            )
        )

    def _leave(self, batch: str) -> None:
        queue = self._queues.pop(batch, None)
        if queue is not None:
            self._consumer.unsubscribe(queue)
        self._give_back(self._hands.let_go_of_batch(batch))

    def _on_queue_gone(self, batch: str, _queue: str) -> None:
        self._queues.pop(batch, None)
        self._hands.let_go_of_batch(batch)
        self._say(QueueGone(batch))

    def _lost_all(self) -> None:
        # The broker gives every unacknowledged ticket to somebody else, or to us again. No image
        # is to blame for that, not even the one that is computed.
        self._release(self._hands.all())
        self._hands.let_go_of_all()

    # What arrives, on the consumer's thread

    def _on_ticket(self, batch: str, received: Received, delivery: Delivery) -> None:
        self._last_delivery_seconds = time.monotonic()
        if self._draining.is_set() or batch not in self._queues:
            self._consumer.requeue(delivery)
            return
        ticket = received.frame
        if not isinstance(ticket, Ticket) or ticket.batch != batch:
            log.warning("rejected a %s from the queue of batch %s", type(ticket).__name__, batch)
            self._consumer.reject(delivery)
            return
        self._take(ticket, delivery, received.payload)

    def _on_unreadable_ticket(self, delivery: Delivery, error: ProtocolError) -> None:
        if isinstance(error, DamagedPayload):
            self._refuse_damaged(delivery, error)
            return
        log.warning("rejected a message from a work queue: %s", error)
        self._consumer.reject(delivery)

    def _refuse_damaged(self, delivery: Delivery, error: DamagedPayload) -> None:
        """Have a damaged ticket sent again; nothing in it can be believed, its recipe least."""
        log.warning("a ticket arrived damaged: %s", error)
        if delivery.redelivered:
            # The broker's own copy is damaged. The client misses it, and offers the image again.
            self._consumer.reject(delivery)
        else:
            self._consumer.requeue(delivery)

    def _take(self, ticket: Ticket, delivery: Delivery, payload: memoryview) -> None:
        suspect = delivery.redelivered or ticket.attempt > 0
        held = HeldTicket(ticket, delivery, suspect)
        too_large = ticket.size_bytes > self._settings.limits.max_bytes
        # What is too large will be refused unseen, whoever has died with it.
        if too_large or (not suspect and len(payload) == ticket.size_bytes):
            held.image = payload
        self._hands.take(held)
        if not held.can_begin:
            self._fetch(held, begins=False)

    def _fetch(self, held: HeldTicket, *, begins: bool, anew: bool = False) -> None:
        transfer = self._hands.expect(held, time.monotonic(), anew=anew)
        fetch = Fetch(
            held.ticket.batch,
            held.ticket.job,
            self._inbox.queue,
            transfer,
            begins,
            self._settings.machine,
        )
        self._tell_client(held.ticket, encode(fetch))

    def _tell_client(self, ticket: Ticket, body: bytes) -> None:
        def settled(settlement: Settlement) -> None:
            if settlement is not Settlement.CONFIRMED:
                self._client_is_gone(ticket.batch)

        self._publisher.post(Message(self._topology.clients, ticket.topic, body), settled)

    def _client_is_gone(self, batch: str) -> None:
        if batch in self._queues:
            log.info("nobody takes the results of batch %s any more", batch)
            self._leave(batch)
            self._say(ClientGone(batch))

    def _on_private(self, received: Received, _delivery: Delivery) -> None:
        try:
            if isinstance(received.frame, Chunk):
                self._hands.add_chunk(received.frame, received.payload, time.monotonic())
            elif isinstance(received.frame, Cancel):
                self._withdraw(received.frame)
        except ProtocolError as error:
            log.warning("passed over a piece of an image: %s", error)

    def _on_unreadable_piece(self, _delivery: Delivery, error: ProtocolError) -> None:
        log.warning("a message to this worker can't be read: %s", error)
        if isinstance(error, DamagedPayload):
            self._ask_for_damaged(error)

    def _ask_for_damaged(self, error: DamagedPayload) -> None:
        held = self._hands.awaited(getattr(error.frame, "transfer", -1))
        if held is not None and held.asked_times < FETCH_TIMES:
            self._fetch(held, begins=False, anew=True)

    def _withdraw(self, withdrawal: Cancel) -> None:
        held = self._hands.withdraw(withdrawal)
        if held is not None:
            self._consumer.acknowledge(held.delivery)

    # What is computed, on the main thread

    def _process(self, held: HeldTicket) -> None:
        if not self._has_image(held) or not self._hands.begin(held):
            return
        ticket = held.ticket
        self._board.begin(ticket.batch, ticket.job)
        begun = time.monotonic()
        result, data = self._compute(held, begun)
        # Before the result is published: a broker that takes nothing for minutes is no reason to
        # kill the worker for being slow.
        self._board.end(time.monotonic() - begun)
        held.image = None
        frames, answered = frames_of(result, data), partial(self._answered, held)
        # The result of a suspect is never kept: the next image may kill this worker, too.
        if len(data) <= LARGEST_BUNDLED_BYTES and not held.suspect:
            self._bundler.add(ticket.topic, next(frames), answered)
        else:
            messages = (Message(self._topology.clients, ticket.topic, frame) for frame in frames)
            self._publisher.publish_all(messages, answered)

    def _has_image(self, held: HeldTicket) -> bool:
        """For a suspect, ask the client for its consent and the image, and wait for both."""
        if held.image is not None:
            return True
        for _ in range(FETCH_TIMES):
            self._fetch(held, begins=held.asked_times == 0)
            if self._hands.wait_for_image(held, FETCH_PATIENCE_SECONDS):
                break
        if held.image is None:
            self._give_back(self._hands.let_go(held))
        return held.image is not None

    def _compute(self, held: HeldTicket, begun: float) -> tuple[Result, bytes]:
        ticket = held.ticket
        machine, transfer = self._settings.machine, random.getrandbits(52)
        try:
            self._refuse_too_large(ticket)
            recipe = Recipe.from_fields(ticket.recipe)
            assert held.image is not None
            processed = self._pipeline.run(held.image, recipe, ticket.max_pixels)
        except ImageError as error:
            spent = time.monotonic() - begun
            return failure_of(ticket, machine, transfer, spent, error), b""
        except Exception as error:
            log.exception("job %d of batch %s failed unexpectedly", ticket.job, ticket.batch)
            unexpected = _unexpected(error)
            spent = time.monotonic() - begun
            return failure_of(ticket, machine, transfer, spent, unexpected), b""
        spent = time.monotonic() - begun
        return result_of(ticket, machine, transfer, spent, processed), processed.data

    def _refuse_too_large(self, ticket: Ticket) -> None:
        largest = self._settings.limits.max_bytes
        if ticket.size_bytes > largest:
            raise LimitExceeded(
                Code.TOO_MANY_BYTES,
                f"the file has {ticket.size_bytes} bytes, more than the server's --max-bytes "
                f"{largest} allows",
            )

    def _answered(self, held: HeldTicket, settlement: Settlement) -> None:
        self._hands.end(held)
        if settlement is Settlement.CONFIRMED:
            self._consumer.acknowledge(held.delivery)
            return
        self._consumer.requeue(held.delivery)
        self._client_is_gone(held.ticket.batch)

    # What is looked after

    def _ask_again(self) -> None:
        for held in self._hands.overdue(time.monotonic() - FETCH_PATIENCE_SECONDS):
            if held.asked_times < FETCH_TIMES:
                self._fetch(held, begins=False)
            else:
                self._give_back(self._hands.let_go(held))

    def _tell_holdings(self) -> None:
        while not self._draining.wait(HOLDING_SECONDS):
            self._bundler.flush()  # the image that is computed may take a minute
            # Said later, it would no longer be true.
            if self._publisher.connection.problem is None:
                for ticket, jobs in _by_client(self._hands.all()):
                    holding = InProgress(ticket.batch, jobs, self._settings.machine)
                    self._post(ticket, encode(holding))

    def _look_after_idleness(self) -> None:
        """Renew subscriptions that seem dead: tickets wait, and none arrives."""
        now = time.monotonic()
        since_seconds = now - self._last_delivery_seconds
        if since_seconds < IDLE_CHECK_SECONDS or not self._hands.are_empty:
            return
        self._last_delivery_seconds = now
        for queue in list(self._queues.values()):
            self._consumer.count_ready(queue, partial(self._renew_if_waiting, queue))

    def _renew_if_waiting(self, queue: str, ready: int) -> None:
        if ready:
            log.warning("%d tickets wait in %s and none arrives; subscribing anew", ready, queue)
            self._consumer.renew(queue)

    def _give_back(self, tickets: list[HeldTicket]) -> None:
        for held in tickets:
            self._consumer.requeue(held.delivery)
        self._release(tickets)

    def _release(self, tickets: list[HeldTicket]) -> None:
        for ticket, jobs in _by_client(tickets):
            self._post(ticket, encode(Returned(ticket.batch, jobs, self._settings.machine)))

    def _post(self, ticket: Ticket, body: bytes) -> None:
        """Tell a client something that it can do without."""
        message = Message(self._topology.clients, ticket.topic, body, mandatory=False)
        self._publisher.post(message)

    def _end(self) -> None:
        self._bundler.flush()
        for queue in list(self._queues.values()):
            self._consumer.unsubscribe(queue)
        self._give_back(self._hands.let_go_of_all())
        self._publisher.flush(FLUSH_SECONDS)
        self._consumer.close()
        self._publisher.close()


def _by_client(tickets: list[HeldTicket]) -> Iterator[tuple[Ticket, tuple[int, ...]]]:
    """Yield one ticket of each batch, with the numbers of its images, as many as a frame holds."""
    batches: dict[str, list[Ticket]] = {}
    for held in tickets:
        batches.setdefault(held.ticket.batch, []).append(held.ticket)
    for same in batches.values():
        for first in range(0, len(same), MOST_NUMBERS):
            some = same[first : first + MOST_NUMBERS]
            yield same[0], tuple(ticket.job for ticket in some)


def _unexpected(error: Exception) -> ImageError:
    if isinstance(error, UsageError):
        return ImageError(error.code, error.sentence)
    return ImageError(
        Code.INTERNAL_ERROR,
        f"an error of imgbatch itself ({type(error).__name__}); the server's log has the details",
    )
