"""One connection, kept up by its own thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from tests.support.brokers import Broker
from tests.support.rabbitmq import free_port

from imgbatch.broker.address import Address
from imgbatch.broker.connection import Connection
from imgbatch.errors import Code

pytestmark = pytest.mark.broker
Eventually = Callable[[Callable[[], object]], None]


@dataclass
class Owner:
    """Writes down what a connection tells it."""

    ups: list[Any] = field(default_factory=list)
    disconnects: list[tuple[str, int]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def up(self, channel: Any) -> None:
        self.ups.append(channel)
        self.threads.add(threading.current_thread().name)

    def down(self, reason: str, channel_error: int) -> None:
        self.disconnects.append((reason, channel_error))
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def connection(address: Address, owner: Owner) -> Iterator[Connection]:
    connection = Connection(address, "imgbatch-test-link", owner.up, owner.down)
    connection.start()
    yield connection
    connection.close()
    assert connection._ended.is_set()


def test_a_link_tells_that_it_is_up(
    connection: Connection, owner: Owner, eventually: Eventually
) -> None:
    eventually(lambda: owner.ups)
    assert connection.was_up
    assert connection.problem is None
    assert connection.channel is owner.ups[0]
    assert owner.threads == {"broker-imgbatch-test-link"}


def test_what_is_submitted_runs_in_order_on_the_connections_thread(
    connection: Connection, owner: Owner, eventually: Eventually
) -> None:
    ran: list[tuple[int, str]] = []

    def submit_many(start: int) -> None:
        for number in range(start, start + 200):
            connection.call_threadsafe(
                lambda number=number: ran.append((number, threading.current_thread().name))
            )

    threads = [threading.Thread(target=submit_many, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(ran) == 600)
    assert {name for _, name in ran} == {"broker-imgbatch-test-link"}
    for start in (0, 1000, 2000):
        own = [number for number, _ in ran if start <= number < start + 1000]
        assert own == list(range(start, start + 200))


def test_a_connection_that_the_broker_closes_comes_back(
    broker: Broker, connection: Connection, owner: Owner, eventually: Eventually
) -> None:
    eventually(lambda: owner.ups)
    broker.control("close_all_connections", "the test closes it")
    eventually(lambda: len(owner.ups) == 2)
    assert "the test closes it" in owner.disconnects[0][0]
    assert owner.disconnects[0][1] == 0
    assert connection.channel is owner.ups[1]
    assert connection.problem is None
    assert connection.fatal_error is None


def test_a_channel_that_the_broker_closes_comes_back_on_a_new_connection(
    connection: Connection, owner: Owner, topology: Any, eventually: Eventually
) -> None:
    eventually(lambda: owner.ups)
    gone = topology.private_name("gone")
    connection.call_threadsafe(lambda: connection.channel.queue_declare(gone, passive=True))
    eventually(lambda: len(owner.ups) == 2)
    assert owner.disconnects[0][1] == 404
    assert f"'{gone}'" in owner.disconnects[0][0]
    assert owner.ups[0].connection is not owner.ups[1].connection


def test_an_error_in_what_was_submitted_costs_a_reconnection_and_no_more(
    connection: Connection, owner: Owner, eventually: Eventually
) -> None:
    ran: list[int] = []
    eventually(lambda: owner.ups)
    connection.call_threadsafe(lambda: next(iter([])))
    connection.call_threadsafe(lambda: ran.append(1))
    eventually(lambda: ran and len(owner.ups) == 2)


def test_an_error_in_a_hook_costs_a_reconnection_and_no_more(
    address: Address, eventually: Eventually
) -> None:
    ups: list[Any] = []

    def fail_at_first(channel: Any) -> None:
        ups.append(channel)
        if len(ups) == 1:
            raise RuntimeError("a bug")

    def fail(_reason: str, _channel_error: int) -> None:
        raise RuntimeError("another bug")

    connection = Connection(address, "imgbatch-test-hooks", fail_at_first, fail)
    connection.start()
    eventually(lambda: len(ups) == 2 and connection.channel is ups[1])
    connection.close()
    assert connection._ended.is_set()


def test_a_loop_that_fails_takes_nothing_with_it(
    connection: Connection, owner: Owner, eventually: Eventually
) -> None:
    ran: list[int] = []
    eventually(lambda: owner.ups)

    def fail() -> None:
        for number in range(100):
            connection.call_threadsafe(lambda number=number: ran.append(number))
        raise RuntimeError("a bug of pika's")

    connection._loop.add_callback_threadsafe(fail)
    eventually(lambda: len(owner.ups) == 2)
    eventually(lambda: len(ran) == 100)
    assert ran == list(range(100))
    assert "error in pika" in owner.disconnects[0][0]


@pytest.mark.parametrize("login", ["guest:wr0ngpass", "stranger:wr0ngpass"])
def test_a_wrong_password_is_a_refusal_that_does_not_repeat_it(
    broker: Broker, login: str, eventually: Eventually
) -> None:
    url = broker.url.replace("guest:guest", login)
    connection = Connection(Address(url), "imgbatch-test-refused", lambda _channel: None)
    connection.start()
    eventually(lambda: connection.fatal_error)
    connection.close()
    assert connection.fatal_error is not None
    assert connection.fatal_error.code is Code.BROKER_REFUSED
    assert "check user and password" in str(connection.fatal_error)
    assert "wr0ngpass" not in f"{connection.fatal_error} {connection.problem}"
    assert not connection.was_up


def test_a_missing_virtual_host_is_a_refusal(broker: Broker, eventually: Eventually) -> None:
    url = f"{broker.url.rstrip('/')}/no-such-host"
    connection = Connection(Address(url), "imgbatch-test-vhost", lambda _channel: None)
    connection.start()
    eventually(lambda: connection.fatal_error)
    connection.close()
    assert "no-such-host" in str(connection.fatal_error)


def test_where_nobody_listens_the_trouble_says_so_and_the_link_goes_on_trying(
    eventually: Eventually,
) -> None:
    address = Address(f"amqp://user:wr0ngpass@127.0.0.1:{free_port()}/")
    connection = Connection(address, "imgbatch-test-nobody", lambda _channel: None)
    connection.start()
    eventually(lambda: "no broker is answering" in (connection.problem or ""))
    assert str(address) in (connection.problem or "")
    assert "wr0ngpass" not in (connection.problem or "")
    assert connection.fatal_error is None
    assert not connection.was_up
    connection.close()
    assert connection._ended.is_set()


@pytest.mark.parametrize("wait_seconds", [0.0, 0.005, 0.02, 0.05])
def test_a_link_can_be_closed_at_any_moment_of_its_beginning(
    address: Address, wait_seconds: float
) -> None:
    connection = Connection(address, f"imgbatch-test-close-{wait_seconds}", lambda _channel: None)
    connection.start()
    time.sleep(wait_seconds)
    connection.close()
    connection._thread.join(10)
    assert not connection._thread.is_alive()


def test_a_link_that_was_never_started_can_be_closed(address: Address) -> None:
    connection = Connection(address, "imgbatch-test-unstarted", lambda _channel: None)
    connection.close()
    assert not connection.was_up


def test_a_server_that_takes_connections_and_says_nothing_does_not_hold_a_close() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address(f"amqp://127.0.0.1:{silent.getsockname()[1]}/")
        connection = Connection(address, "imgbatch-test-silent", lambda _channel: None)
        connection.start()
        peer, _ = silent.accept()
        connection.close(0.1)
        assert not connection.was_up
        peer.close()
    connection._thread.join(10)
    assert not connection._thread.is_alive()


def test_a_closed_link_has_left_the_broker(
    broker: Broker, address: Address, channel: BlockingChannel, eventually: Eventually
) -> None:
    ups: list[Any] = []
    connection = Connection(address, "imgbatch-test-left", ups.append)
    connection.start()
    eventually(lambda: ups)
    connection.call_threadsafe(
        lambda: ups[0].queue_declare("imgbatch-test-exclusive", exclusive=True)
    )
    connection.close()
    connection.close()
    assert connection._ended.is_set()
    # It would be locked if its connection were still there.
    channel.queue_declare("imgbatch-test-exclusive", exclusive=True)


def test_what_is_asked_for_before_the_end_is_done_before_it(
    connection: Connection, owner: Owner, eventually: Eventually
) -> None:
    """As an acknowledgement is, by what is told of a confirmed result."""
    eventually(lambda: owner.ups)
    was_open: list[bool] = []

    def ask() -> None:
        connection.call_threadsafe(lambda: was_open.append(owner.ups[0].is_open))

    # The loop is held up, as by a large message, until both are in line.
    connection.call_threadsafe(lambda: time.sleep(0.2))
    connection.call_threadsafe(ask)
    connection.close()
    assert was_open == [True]


def test_a_link_that_is_closed_while_its_connection_is_closing_leaves_no_socket_behind(
    address: Address, eventually: Eventually
) -> None:
    connections: list[Connection] = []
    ups: list[Any] = []

    def close_at_once(_reason: str, _channel_error: int) -> None:
        connections[0].close(0)  # carried out next on its thread, after it has said goodbye

    connections.append(Connection(address, "imgbatch-test-twice", ups.append, close_at_once))
    connections[0].start()
    eventually(lambda: ups)
    connections[0].call_threadsafe(lambda: ups[0].queue_declare("imgbatch-test-none", passive=True))
    connections[0]._thread.join(10)
    assert not connections[0]._thread.is_alive()
    assert ups[0].connection.is_closed
    assert connections[0]._connection is None


def test_an_address_whose_options_make_no_sense_is_refused_before_anything_starts() -> None:
    with pytest.raises(Exception, match="make no sense"):
        Connection(Address("amqp://broker/?x=1"), "imgbatch-test", lambda _channel: None)
