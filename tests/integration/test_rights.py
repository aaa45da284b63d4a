"""What the users of docs/operations.md may do on the broker, and what a stolen password can't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker
from tests.support.amqp import plain_channel
from tests.support.brokers import Broker, Place
from tests.support.oracle import FACTORS, check
from tests.support.programs import programs_in, wait_until
from tests.support.rights import CLIENT, SERVER, as_user
from tests.support.slow_photos import slow

from imgbatch.broker.topology import DISCOVER, STATUS, Topology

pytestmark = pytest.mark.broker
TOPOLOGY = Topology()
EXCHANGES = (TOPOLOGY.to_clients, TOPOLOGY.to_servers, TOPOLOGY.batches)
ACCESS_REFUSED, RESOURCE_LOCKED = 403, 405


@dataclass(frozen=True)
class Run:
    """A run that goes on, and the names that it has on the broker, which no thief knows."""

    place: Place
    queues: dict[str, str]
    keys: dict[str, str]


@pytest.fixture(scope="module")
def run(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A client's run on one server; when all has been tried, it has to end as if nothing were."""
    place, folder = broker.place(), tmp_path_factory.mktemp("run")
    slow(folder / "in", 50, 100)
    with programs_in(folder / "logs") as programs:
        programs.server(place.url, fragile=True)
        client = programs.client(folder / "in", folder / "out", *FACTORS, broker=place.url)
        client.wait_for_results(2)
        yield Run(place, *names_of(broker, place))
        assert client.wait() == 0, client.said()
        check(client)
        programs.end()


def names_of(broker: Broker, place: Place) -> tuple[dict[str, str], dict[str, str]]:
    """Return a queue of each kind, and its routing key."""
    words = ("list_bindings", "-p", place.path[1:], "--no-table-headers")
    columns = ("source_name", "destination_name", "routing_key")
    rows = [line.split("\t") for line in broker.control(*words, *columns).splitlines()]
    ours = [row for row in rows if row[0] in EXCHANGES and row[2].startswith("imgbatch.")]
    return (
        {queue.split(".")[1]: queue for _, queue, _ in ours},
        {queue.split(".")[1]: key for _, queue, key in ours},
    )


Act = Callable[[BlockingChannel, Run], object]


def publish(exchange: str, key: Callable[[Run], str]) -> Act:
    def act(channel: BlockingChannel, run: Run) -> None:
        channel.confirm_delivery()
        channel.basic_publish(exchange, key(run), b"evil")

    return act


def of_queue(kind: str, act: Callable[[BlockingChannel, str], object]) -> Act:
    return lambda channel, run: act(channel, run.queues[kind])


def consume(channel: BlockingChannel, queue: str) -> None:
    channel.basic_consume(queue, lambda *_: None)


def get(channel: BlockingChannel, queue: str) -> None:
    channel.basic_get(queue)


def bind(channel: BlockingChannel, queue: str) -> None:
    channel.queue_bind(queue, TOPOLOGY.batches, "anything")


def overhear(exchange: str, key: Callable[[Run], str], kind: str) -> Act:
    """Have a queue of one's own bound, too."""

    def act(channel: BlockingChannel, run: Run) -> None:
        queue = channel.queue_declare(TOPOLOGY.private_name(kind), exclusive=True).method.queue
        channel.queue_bind(queue, exchange, key(run))

    return act


def declare(name: str) -> Act:
    return lambda channel, _: channel.queue_declare(name)


def delete_exchange(channel: BlockingChannel, _: Run) -> None:
    channel.exchange_delete(TOPOLOGY.to_clients)


def replace_exchange(channel: BlockingChannel, _: Run) -> None:
    channel.exchange_declare(TOPOLOGY.to_clients, "fanout", durable=True)


NOT_FOR_CLIENTS: dict[str, Act] = {
    "announce a server": publish(TOPOLOGY.to_clients, lambda _: STATUS),
    "send another client a result": publish(TOPOLOGY.to_clients, lambda run: run.keys["client"]),
    "write into another client's inbox": publish("", lambda run: run.queues["client"]),
    "write into a work queue": publish("", lambda run: run.queues["batch"]),
    "consume another client's results": of_queue("client", consume),
    "take one of another client's results": of_queue("client", get),
    "bind another client's inbox": of_queue("client", bind),
    "delete another client's inbox": of_queue("client", BlockingChannel.queue_delete),
    "consume another client's tickets": of_queue("batch", consume),
    "take one of another client's tickets": of_queue("batch", get),
    "consume what is said to a server": of_queue("server", consume),
    "consume what is said to a worker": of_queue("worker", consume),
    "overhear what is said to a server": overhear(
        TOPOLOGY.to_servers, lambda run: run.keys["server"], "client"
    ),
    "overhear who asks for servers": overhear(TOPOLOGY.to_servers, lambda _: DISCOVER, "client"),
    "declare a server's queue": declare("imgbatch.server.thief"),
    "declare another application's queue": declare("billing.orders"),
    "delete an exchange": delete_exchange,
    "make an exchange": replace_exchange,
}
NOT_FOR_SERVERS: dict[str, Act] = {
    "have other servers work": publish(TOPOLOGY.to_servers, lambda run: run.keys["server"]),
    "put a ticket into a batch": publish(TOPOLOGY.batches, lambda run: run.keys["batch"]),
    "write into a client's inbox": publish("", lambda run: run.queues["client"]),
    "consume a client's inbox": of_queue("client", consume),
    "bind a client's inbox": of_queue("client", bind),
    "overhear another server's results": overhear(
        TOPOLOGY.to_clients, lambda run: run.keys["client"], "server"
    ),
    "declare a client's queue": declare("imgbatch.client.thief"),
}


def test_with_a_clients_password_one_can_do_nothing_with_what_is_for_others(run: Run) -> None:
    """Not even by the names of queues and topics that it can't know."""
    assert allowed(NOT_FOR_CLIENTS, CLIENT, run) == []


def test_with_a_servers_password_one_can_not_be_a_client(run: Run) -> None:
    assert allowed(NOT_FOR_SERVERS, SERVER, run) == []


def allowed(acts: dict[str, Act], user: str, run: Run) -> list[str]:
    """Return what the broker did not refuse."""
    found = []
    with plain_channel(as_user(run.place.url, user)) as channel:
        for what, act in acts.items():
            try:
                act(channel.connection.channel(), run)
            except ChannelClosedByBroker as error:
                if error.reply_code not in (ACCESS_REFUSED, RESOURCE_LOCKED):
                    raise
            else:
                found.append(what)
    return found


def test_who_does_not_know_a_name_hears_nothing_but_what_is_for_all(run: Run) -> None:
    """Patterns are no patterns on a direct exchange."""
    with plain_channel(run.place.url) as channel:
        queue = channel.queue_declare(TOPOLOGY.private_name("client"), exclusive=True).method.queue
        for exchange in (TOPOLOGY.to_clients, TOPOLOGY.batches):
            for key in ("#", "imgbatch.#", "imgbatch.client.*", "imgbatch.batch.*", ""):
                channel.queue_bind(queue, exchange, key)
        channel.connection.sleep(1.0)
        assert channel.basic_get(queue)[0] is None
        channel.queue_bind(queue, TOPOLOGY.to_clients, run.keys["client"])
        wait_until(lambda: channel.basic_get(queue)[0], "with its name, the results are heard")
