"""One client and three workers in memory, on a broker that is a list: no image is lost or doubled.

What can go wrong between them is drawn by hypothesis, step by step; then everything works again,
and each image has to end exactly once.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.frames import result, ticket

from imgbatch.errors import Code
from imgbatch.protocol import client_session
from imgbatch.protocol import worker_session as workers
from imgbatch.protocol.client_session import ClientSession
from imgbatch.protocol.codec import Received
from imgbatch.protocol.delivery import Answer, Settle
from imgbatch.protocol.frames import Chunk, Frame, Thumbnails, WorkerCrashed
from imgbatch.protocol.in_flight import InFlightJob
from imgbatch.protocol.slicing import pieces
from imgbatch.protocol.worker_session import PendingTicket, WorkerSession

BATCH = "b"
CHUNK = 4
PREFETCH = 3
NOTHING = memoryview(b"")


@dataclass(eq=False)
class Message:
    """Tickets on the broker, with the images that ride along."""

    tickets: list[Received]
    redelivered: bool = False
    open_parts: int = 0
    given_back: bool = False


@dataclass(eq=False)
class Sending:
    """A result that the broker has not confirmed yet; it may have it or not."""

    pending: PendingTicket
    frames: list[tuple[Frame, memoryview]] = field(default_factory=list)


@dataclass(eq=False)
class Worker:
    """A worker process: its session, and what the broker and its threads hold for it."""

    name: str
    session: WorkerSession
    queue: str
    machine: str
    inbox: deque[tuple[Frame, memoryview]] = field(default_factory=deque)
    unacknowledged: list[Message] = field(default_factory=list)
    handed_out: deque[PendingTicket] = field(default_factory=deque)
    unconfirmed: deque[Sending] = field(default_factory=deque)


class World:
    """All of them, and the broker between them; each step is one event at one of them."""

    def __init__(self, images: int, poison: frozenset[int] = frozenset(), most: int = 3) -> None:
        self.now = 0.0
        self.client = ClientSession(BATCH)
        self.undrawn = deque(range(images))
        self.images = {index: bytes([index]) * (index * 3 % 11) for index in range(images)}
        self.poison = poison
        self.images_per_message = most
        self.queue: deque[Message] = deque()
        self.inbox: deque[tuple[Frame, memoryview]] = deque()
        self.files: dict[int, bytes] = {}
        self.thumbnails: dict[int, client_session.KeepThumbnails] = {}
        self.shown: set[int] = set()
        self.ended: Counter[int] = Counter()
        self.failed: dict[int, str] = {}
        self.begun: Counter[int] = Counter()
        self.killed_by: Counter[int] = Counter()
        self.offered: Counter[int] = Counter()
        self.numbers = itertools.count()
        self.workers = [self.new_worker() for _ in range(3)]
        self.act(self.client.workers_changed(3))
        if not images:
            self.act(self.client.all_drawn())

    def new_worker(self, machine: str | None = None) -> Worker:
        number = next(self.numbers)
        machine = machine or f"machine-{number}"
        worker = Worker(f"w{number}", WorkerSession(machine, 1000), f"q{number}", machine)
        worker.session.connected(worker.queue, self.now)
        worker.session.serve(BATCH)
        return worker

    # The client's shell

    def act(self, actions: list[client_session.Action]) -> None:
        for action in actions:
            match action:
                case client_session.Draw(messages=messages):
                    self.draw(messages)
                case client_session.Offer(jobs):
                    self.offered.update(job.index for job in jobs)
                    self.queue.append(Message([self.ticket_of(job) for job in jobs]))
                case client_session.SendImage(job, queue, transfer):
                    self.send_image(job.index, queue, transfer)
                case client_session.SendCancel(queue, cancel):
                    self.to_worker(queue, cancel, NOTHING)
                case client_session.Write():
                    self.write(action)
                case client_session.KeepThumbnails(job):
                    assert job.index not in self.ended
                    self.thumbnails[job.index] = action
                case client_session.Fail(job, error):
                    self.files.pop(job.index, None)
                    self.failed[job.index] = str(error.code)
                    self.end(job.index)

    def draw(self, messages: int) -> None:
        drawn = []
        while self.undrawn and len(drawn) < messages:
            some = [self.undrawn.popleft() for _ in range(self.images_per_message) if self.undrawn]
            drawn.append([(index, None) for index in some])
        self.act(self.client.drawn(drawn, self.now))
        if not self.undrawn:
            self.act(self.client.all_drawn())

    def ticket_of(self, job: InFlightJob) -> Received:
        image = self.images[job.index]
        rides_along = job.attempt == 0 and len(image) <= CHUNK
        frame = ticket(batch=BATCH, job=job.index, attempt=job.attempt, size_bytes=len(image))
        return Received(frame, memoryview(image if rides_along else b""))

    def send_image(self, index: int, queue: str, transfer: int) -> None:
        image = self.images[index]
        for offset, piece in pieces(image, CHUNK):
            self.to_worker(queue, Chunk(BATCH, index, transfer, offset, len(image)), piece)
        self.act(self.client.sent(index, queue, transfer, self.now))

    def to_worker(self, queue: str, frame: Frame, payload: memoryview) -> None:
        for worker in self.workers:
            if worker.queue == queue:
                worker.inbox.append((frame, payload))

    def write(self, action: client_session.Write) -> None:
        index = action.job.index
        if action.is_first:
            self.files[index] = b""
        self.files[index] += bytes(action.payload)
        if action.is_last:
            assert self.files.pop(index) == self.result_of(index)
            kept = self.thumbnails.get(index)
            if kept is not None and kept.frame.transfer == action.result.transfer:
                assert kept.payload == b"%dafter" % index
                self.shown.add(index)
            self.end(index)

    def end(self, index: int) -> None:
        self.ended[index] += 1
        self.act(self.client.ended([index]))

    def result_of(self, index: int) -> bytes:
        return self.images[index][::-1] + b"done"

    # The workers' shells

    def work(self, worker: Worker, actions: list[workers.Action]) -> None:
        for action in actions:
            match action:
                case workers.Send(frame):
                    self.inbox.append((frame, NOTHING))
                case Settle(message, answer):
                    self.answer(worker, message, given_back=answer is Answer.REQUEUE)
                case workers.Compute(pending):
                    worker.handed_out.append(pending)
                case _:
                    raise AssertionError(action)

    def answer(self, worker: Worker, message: Any, *, given_back: bool) -> None:
        message.open_parts -= 1
        message.given_back |= given_back
        assert message.open_parts >= 0, "a ticket was answered twice"
        if message.open_parts == 0 and message in worker.unacknowledged:
            worker.unacknowledged.remove(message)
            if message.given_back:
                self.redeliver([message])

    def redeliver(self, messages: list[Message]) -> None:
        self.queue.extendleft(Message(it.tickets, True) for it in reversed(messages))

    def recall(self, worker: Worker) -> None:
        while worker.handed_out:
            worker.session.recall(worker.handed_out.popleft())

    # What happens in good order

    def deliver(self, worker: Worker) -> bool:
        if not self.queue or len(worker.unacknowledged) >= PREFETCH:
            return False
        message = self.queue.popleft()
        message.open_parts = len(message.tickets)
        worker.unacknowledged.append(message)
        for one in message.tickets:
            take = worker.session.take
            self.work(worker, take(BATCH, one, message, message.redelivered, self.now))
        return True

    def hear(self, worker: Worker) -> bool:
        if not worker.inbox:
            return False
        self.work(worker, worker.session.receive(*worker.inbox.popleft(), self.now))
        return True

    def compute(self, worker: Worker) -> bool:
        if not worker.handed_out:
            return False
        pending = worker.handed_out.popleft()
        index = pending.ticket.job
        self.begun[index] += 1
        if index in self.poison:
            self.killed_by[index] += 1
            self.kill(worker, index)
            return True
        image = pending.image
        assert image == self.images[index]
        data = self.result_of(index)
        transfer = 1000 + next(self.numbers)
        before = b"%d" % index
        thumbnails = Thumbnails(BATCH, index, transfer, len(before))
        sending = Sending(pending, [(thumbnails, memoryview(before + b"after"))])
        for offset, piece in pieces(data, CHUNK):
            frame: Frame = Chunk(BATCH, index, transfer, offset, len(data))
            if offset == 0:
                frame = result(batch=BATCH, job=index, transfer=transfer, size_bytes=len(data))
            sending.frames.append((frame, piece))
        worker.unconfirmed.append(sending)
        self.work(worker, worker.session.computed(pending, self.now))
        return True

    def confirm(self, worker: Worker) -> bool:
        if not worker.unconfirmed:
            return False
        sending = worker.unconfirmed.popleft()
        self.inbox.extend(sending.frames)
        self.work(worker, worker.session.answered(sending.pending, self.now, confirmed=True))
        return True

    def listen(self) -> bool:
        if not self.inbox:
            return False
        self.act(self.client.receive(*self.inbox.popleft(), None, self.now))
        return True

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for worker in self.workers:
            self.work(worker, worker.session.tick(self.now))
            self.work(worker, worker.session.in_progress(self.now))
        self.act(self.client.tick(self.now, connected=True))

    # What goes wrong

    def kill(self, worker: Worker, index: int | None = None) -> None:
        """A process dies; its server knows with which image, and starts another."""
        if worker.unconfirmed and int(self.now) % 2:
            self.inbox.extend(worker.unconfirmed[0].frames)  # that much was sent
        if index is None and worker.handed_out:
            index = worker.handed_out[0].ticket.job
        self.redeliver(worker.unacknowledged)
        self.workers[self.workers.index(worker)] = self.new_worker(worker.machine)
        if index is not None:
            crash = WorkerCrashed(BATCH, index, worker.machine, Code.WORKER_CRASHED, "killed")
            self.inbox.append((crash, NOTHING))

    def lose_machine(self, worker: Worker) -> None:
        """As above, and nobody is there to say so."""
        self.redeliver(worker.unacknowledged)
        self.workers[self.workers.index(worker)] = self.new_worker()

    def cut(self, worker: Worker) -> None:
        """A worker loses its connections; what it computes, it goes on computing."""
        self.redeliver(worker.unacknowledged)
        worker.unacknowledged.clear()
        worker.inbox.clear()
        self.recall_and(worker, lambda: worker.session.connection_lost(self.now))
        worker.queue = f"q{next(self.numbers)}"
        worker.session.connected(worker.queue, self.now)

    def recall_and(self, worker: Worker, event: Callable[[], list[workers.Action]]) -> None:
        self.recall(worker)
        self.work(worker, event())

    def leave(self, worker: Worker) -> None:
        self.recall_and(worker, lambda: worker.session.leave(BATCH, self.now))
        worker.session.serve(BATCH)

    def cut_client(self) -> None:
        self.inbox.clear()
        self.act(self.client.connection_lost())

    def delete_queue(self) -> None:
        self.queue.clear()
        for worker in self.workers:
            worker.unacknowledged.clear()
            self.recall_and(worker, lambda w=worker: w.session.queue_gone(BATCH, self.now))
            worker.session.serve(BATCH)

    def kill_broker(self) -> None:
        self.cut_client()
        for worker in self.workers:
            self.cut(worker)
        self.queue.clear()

    def step(self, choice: int) -> None:
        """Do what a number from 0 to 255 stands for: mostly what is in good order."""
        what, which = choice % 32, choice // 32
        worker = self.workers[which % 3]
        ordinary = [self.deliver, self.hear, self.compute, self.confirm]
        if what < 16:
            ordinary[what % 4](worker)
        elif what < 20:
            self.listen()
        elif what < 22:
            self.pass_time((0.25, 1.0, 6.0, 11.0)[which % 4])
        else:
            self.go_wrong(what - 22, worker, self.inbox if which % 2 else worker.inbox)

    def go_wrong(self, what: int, worker: Worker, inbox: deque[tuple[Frame, memoryview]]) -> None:
        everything: list[Callable[[], object]] = [
            lambda: self.kill(worker),
            lambda: self.lose_machine(worker),
            lambda: self.cut(worker),
            lambda: self.leave(worker),
            lambda: inbox and inbox.popleft(),  # a frame is lost, or came damaged
            lambda: inbox and inbox.append(inbox[0]),  # or comes twice
            lambda: inbox.rotate(-1),  # or late
            lambda: self.queue and self.queue.append(Message(self.queue[0].tickets)),
            self.break_down,
        ]
        everything[what % len(everything)]()

    def break_down(self) -> None:
        """The client's inbox, tickets, the queue or the broker are lost."""
        everything: list[Callable[[], object]] = [
            self.cut_client,
            lambda: self.queue and self.queue.popleft(),
            self.delete_queue,
            self.kill_broker,
        ]
        everything[int(self.now * 4) % 4]()

    def settle(self) -> None:
        """Let everything that is in order happen, until nothing is in flight."""
        for _ in range(4000):
            if self.client.is_over:
                return
            moved = self.listen()
            for worker in list(self.workers):
                for event in (self.deliver, self.hear, self.compute, self.confirm):
                    moved |= worker in self.workers and event(worker)
            if not moved:
                self.pass_time(1.0)
        raise AssertionError(
            f"not over after {self.now} s: {self.images.keys() - self.ended.keys()}"
        )


@given(st.binary(min_size=100, max_size=600), st.integers(1, 25), st.integers(1, 5))
@settings(max_examples=400, deadline=None)
def test_every_image_ends_exactly_once_whatever_goes_wrong(
    steps: bytes, images: int, images_per_message: int
) -> None:
    world = World(images, most=images_per_message)
    for choice in steps:
        world.step(choice)
    world.settle()
    assert world.ended == Counter(range(images))
    assert not world.files
    crashes = sum(choice % 32 in (22, 23, 31) for choice in steps)
    assert not world.failed or crashes >= 2


@pytest.mark.parametrize("images_per_message", [1, 4])
def test_with_no_fault_every_image_is_offered_and_computed_once(images_per_message: int) -> None:
    world = World(200, most=images_per_message)
    world.settle()
    assert world.ended == world.offered == world.begun == Counter(range(200))
    assert world.shown == set(range(200))
    assert not world.failed


@pytest.mark.parametrize("images_per_message", [1, 3])
def test_an_image_that_kills_its_workers_is_given_to_three_and_fails_alone(
    images_per_message: int,
) -> None:
    world = World(30, poison=frozenset({4, 17}), most=images_per_message)
    world.settle()
    assert world.ended == Counter(range(30))
    assert world.failed == {4: Code.WORKER_CRASHED, 17: Code.WORKER_CRASHED}
    # Two, if its ticket was with a worker that the other one killed: nobody can tell which of them
    # that worker had begun.
    assert {2, 3} >= set(world.killed_by.values())


@given(st.binary(max_size=200), st.integers(3, 25))
@settings(max_examples=100, deadline=None)
def test_an_image_that_kills_its_workers_ends_too_whatever_else_goes_wrong(
    steps: bytes, images: int
) -> None:
    world = World(images, poison=frozenset({1}))
    for choice in steps:
        world.step(choice)
    world.settle()
    assert world.ended == Counter(range(images))
    assert world.failed[1] == Code.WORKER_CRASHED
    # Each loss of a connection may pardon those that had it.
    assert world.killed_by[1] <= 4 + sum(choice % 32 > 21 for choice in steps)
