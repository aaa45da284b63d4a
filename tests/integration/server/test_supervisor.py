"""A machine's supervisor, spoken to in frames by a client that is the test."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from tests.support import small_worker
from tests.support.amqp import declare_exchanges, delete_exchanges, plain_channel, take_all
from tests.support.brokers import Broker
from tests.support.children import fork_servers_of
from tests.support.frames import enlistment, forged
from tests.support.programs import wait_until

from imgbatch.broker.topology import DISCOVER, STATUS, Topology
from imgbatch.protocol.codec import batch_of, decode, encode
from imgbatch.protocol.frames import (
    LONGEST_INTERVAL_SECONDS,
    Cancel,
    Discover,
    Frame,
    LeaseEnd,
    LeaseRefused,
    Returned,
    ServerStatus,
    WorkerCrashed,
)
from imgbatch.server import supervisor as supervisor_module
from imgbatch.server.messages import ServerSettings
from imgbatch.server.self_test import SelfTest
from imgbatch.server.supervisor import MOST_ANSWERS, STATUS_SECONDS, Supervisor

pytestmark = pytest.mark.broker
SELF_TEST = SelfTest("d1657e57", {"numba": "0.62.1"}, 0.0)


class Client:
    """Hears what a machine announces, and what it says to one topic."""

    def __init__(self, channel: BlockingChannel, topology: Topology) -> None:
        self.channel = channel
        self.topology = topology
        self.secret = secrets.token_bytes(32)
        self.batch = batch_of(self.secret)
        self.secrets = {self.batch: self.secret}
        declare_exchanges(channel, topology)
        self.inbox = topology.private_name("listener")
        channel.queue_declare(self.inbox, exclusive=True)
        for key in (topology.topic(self.secret), self.inbox, STATUS):
            channel.queue_bind(self.inbox, topology.to_clients, key)

    def hear(self, kind: type, holds: Callable[[Any], object] = lambda _frame: True) -> Any:
        """Return the next frame of a kind for which something holds."""
        found: list[Frame] = []

        def look() -> bool:
            body = self.channel.basic_get(self.inbox, auto_ack=True)[2]
            if body is not None:
                frame = decode(body, self.secrets)[0].frame
                found.extend([frame] if isinstance(frame, kind) and holds(frame) else [])
            return bool(found)

        wait_until(look, f"a {kind.__name__}")
        return found[0]

    def call(self) -> None:
        body = encode(Discover(self.inbox))
        self.channel.basic_publish(self.topology.to_servers, DISCOVER, body)

    def say(self, machine: ServerStatus, body: bytes) -> None:
        self.channel.basic_publish(self.topology.to_servers, machine.queue, body)

    def enlist(self, machine: ServerStatus, behaviour: str = "", **changes: Any) -> str:
        """Have a machine work for a batch, this client's own or one for which it does as told."""
        secret = small_worker.secret_for(behaviour) if behaviour else self.secret
        lease = enlistment(secret=secret, **changes)
        self.secrets[lease.batch] = secret
        to_clients, topic = self.topology.to_clients, self.topology.topic(secret)
        self.channel.queue_bind(self.inbox, to_clients, topic)
        self.say(machine, encode(lease))
        return lease.batch

    def dismiss(self, machine: ServerStatus, batch: str) -> None:
        self.say(machine, encode(LeaseEnd(batch, self.secrets[batch])))


@pytest.fixture
def topology() -> Topology:
    return Topology(f"test-{secrets.token_hex(4)}.")


@pytest.fixture
def client(broker: Broker, topology: Topology) -> Iterator[Client]:
    with plain_channel(broker.url) as channel:
        yield Client(channel, topology)
        delete_exchanges(channel, topology)


@pytest.fixture
def supervisor(
    broker: Broker, topology: Topology, client: Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervisor]:
    monkeypatch.setattr(supervisor_module, "WORKER", f"{small_worker.__name__}:main")
    settings = ServerSettings(broker.url, procs=2, name="den", prefix=topology.prefix)
    supervisor = Supervisor(settings, SELF_TEST)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    yield supervisor
    supervisor.stop()
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def machine(client: Client, supervisor: Supervisor) -> ServerStatus:
    announced = client.hear(ServerStatus)
    assert isinstance(announced, ServerStatus)
    return announced


def test_a_machine_announces_itself_and_answers_a_call(
    client: Client, machine: ServerStatus
) -> None:
    assert machine.machine.startswith("den-")
    assert (machine.name, machine.procs, machine.digest) == ("den", 2, "d1657e57")
    assert machine.components == {"numba": "0.62.1"}
    assert client.topology.is_ours(machine.queue)
    client.call()
    assert client.hear(ServerStatus).machine == machine.machine


def test_who_asks_is_answered_at_once_and_alone(client: Client, machine: ServerStatus) -> None:
    """Hundreds of machines answer, and everybody else would have to read all that."""
    asking = client.topology.private_name("asking")
    client.channel.queue_declare(asking, exclusive=True)  # hears no announcement
    client.channel.queue_bind(asking, client.topology.to_clients, asking)
    client.inbox, announced = asking, client.inbox
    client.call()
    assert client.hear(ServerStatus).machine == machine.machine
    client.inbox = announced


def test_however_often_a_machine_is_asked_it_answers_ten_times_a_second(
    client: Client, machine: ServerStatus
) -> None:
    asking = client.topology.private_name("asking")
    client.channel.queue_declare(asking, exclusive=True)
    client.channel.queue_bind(asking, client.topology.to_clients, asking)
    announced, client.inbox = client.inbox, asking
    begun = time.monotonic()
    while time.monotonic() - begun < 2.5:
        for _ in range(20):
            client.call()
        client.channel.connection.sleep(0.05)
    seconds = time.monotonic() - begun
    assert MOST_ANSWERS <= len(take_all(client.channel, asking)) <= (seconds + 2) * MOST_ANSWERS
    announcements = len(take_all(client.channel, announced))
    assert 1 <= announcements <= seconds + 2  # in place of the other answers
    assert machine.machine


def test_a_machine_speaks_as_seldom_as_the_client_with_most_machines_wants(
    client: Client, machine: ServerStatus
) -> None:
    """But never less than once in a minute, whoever asks for it."""
    assert machine.interval_seconds == STATUS_SECONDS
    client.enlist(machine, "a", status_seconds=20.0)
    client.enlist(machine, "b", status_seconds=4.0)
    client.hear(ServerStatus, lambda frame: frame.interval_seconds == 20)
    heard = take_all(client.channel, client.inbox)
    client.channel.connection.sleep(2 * STATUS_SECONDS)
    assert take_all(client.channel, client.inbox) == []
    last = client.enlist(machine, "a", status_seconds=2.0**50)
    client.call()
    client.hear(ServerStatus, lambda frame: frame.interval_seconds == LONGEST_INTERVAL_SECONDS)
    client.dismiss(machine, last)
    client.call()
    assert client.hear(ServerStatus).interval_seconds == 4
    assert len(heard) <= 1


def test_a_machine_that_works_for_many_batches_takes_no_more(
    client: Client, machine: ServerStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "MOST_LEASES", 2)
    _, second, third = [client.enlist(machine, word) for word in "abc"]
    refused = client.hear(LeaseRefused)
    assert (refused.batch, refused.sentence) == (third, "it works for 2 batches already")
    client.enlist(machine, "a")  # renewed
    client.dismiss(machine, second)
    client.enlist(machine, "c")
    client.hear(ServerStatus, lambda frame: frame.batches == 2)


@pytest.mark.parametrize(
    ("place", "quoted"),
    [("file:///" + "x" * 1_992, "/xxx"), ("file:///a%0Ab", "/a?b"), ("file:///%FF", "/?")],
    ids=["long", "line break", "no UTF-8"],
)
def test_a_lease_of_a_place_with_an_odd_name_is_refused_like_any_other(
    client: Client, machine: ServerStatus, place: str, quoted: str
) -> None:
    client.enlist(machine, places=(place,))
    assert quoted in client.hear(LeaseRefused).sentence
    client.enlist(machine, "another")
    client.hear(ServerStatus, lambda frame: frame.batches == 1)


def test_a_machine_works_for_who_enlists_it_until_it_is_dismissed(
    client: Client, machine: ServerStatus
) -> None:
    client.enlist(machine)
    client.hear(ServerStatus, lambda frame: frame.batches == 1)
    client.dismiss(machine, client.batch)
    client.call()
    client.hear(ServerStatus, lambda frame: frame.batches == 0)


@pytest.mark.parametrize(("asked_seconds", "longest_seconds"), [(4, 300), (2**53, 4)])
def test_a_client_that_falls_silent_loses_its_lease(
    client: Client,
    machine: ServerStatus,
    monkeypatch: pytest.MonkeyPatch,
    asked_seconds: int,
    longest_seconds: int,
) -> None:
    monkeypatch.setattr(supervisor_module, "LONGEST_LEASE_SECONDS", longest_seconds)
    client.enlist(machine, lease_seconds=asked_seconds)
    client.hear(ServerStatus, lambda frame: frame.batches == 1)
    client.hear(ServerStatus, lambda frame: frame.batches == 0)


def test_nobody_else_ends_or_takes_over_a_lease(client: Client, machine: ServerStatus) -> None:
    client.enlist(machine)
    client.hear(ServerStatus, lambda frame: frame.batches == 1)
    for key in (bytes(32), secrets.token_bytes(32)):
        client.say(machine, forged(LeaseEnd(client.batch, key), key))
        client.say(machine, forged(enlistment(secret=key), key, batch=client.batch))
    client.enlist(machine, "another")
    assert client.hear(ServerStatus, lambda frame: frame.batches != 1).batches == 2


def test_a_worker_that_dies_with_an_image_is_told_of_and_replaced(
    client: Client, machine: ServerStatus
) -> None:
    batch = client.enlist(machine, "kill")  # each of the small workers dies of it
    casualty = client.hear(WorkerCrashed)
    assert (casualty.batch, casualty.job, casualty.machine) == (batch, 2, machine.machine)
    assert (casualty.code, casualty.sentence) == (
        "worker-crashed",
        "a worker was killed by SIGSEGV",
    )
    client.dismiss(machine, batch)
    client.call()
    client.hear(ServerStatus, lambda frame: frame.batches == 0)
    client.enlist(machine, "one image")
    client.hear(ServerStatus, lambda frame: frame.images > 0)


def test_no_image_is_charged_where_the_fork_server_ends_and_all_workers_with_it(
    client: Client, machine: ServerStatus
) -> None:
    batch = client.enlist(machine, "hang")
    client.call()
    client.hear(ServerStatus, lambda frame: frame.busy == 2)
    (server,) = fork_servers_of(os.getpid())
    os.kill(server, signal.SIGKILL)
    returned = client.hear(Returned)
    assert (returned.batch, list(returned.jobs), returned.machine) == (batch, [3], machine.machine)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"ib\x03" + encode(Discover("x"))[3:],
        encode(Cancel("b", 1, 2), b"", {"b": bytes(32)}),
    ],
    ids=["empty", "garbage", "another version", "of a batch"],
)
def test_what_is_not_for_a_machine_is_passed_over(
    client: Client, machine: ServerStatus, body: bytes
) -> None:
    client.say(machine, body)
    client.enlist(machine)
    client.hear(ServerStatus, lambda frame: frame.batches == 1)


def test_a_machine_that_is_told_to_stop_says_that_it_leaves(
    client: Client, supervisor: Supervisor, machine: ServerStatus
) -> None:
    supervisor.stop()
    client.hear(ServerStatus, lambda frame: frame.leaving)


def test_a_renewed_enlistment_is_no_new_one(client: Client, machine: ServerStatus) -> None:
    for _ in range(3):
        client.enlist(machine, "one image")
    client.hear(ServerStatus, lambda frame: frame.images == 2)
    client.call()
    assert client.hear(ServerStatus).images == 2
