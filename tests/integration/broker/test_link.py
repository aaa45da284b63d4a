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
from imgbatch.broker.link import Cut, Hooks, Link
from imgbatch.errors import Code

pytestmark = pytest.mark.broker
Eventually = Callable[[Callable[[], object]], None]


@dataclass
class Owner:
    """Writes down what a link tells it."""

    ups: list[Any] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def up(self, channel: Any) -> None:
        self.ups.append(channel)
        self.threads.add(threading.current_thread().name)

    def down(self, cut: Cut) -> None:
        self.cuts.append(cut)
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def link(address: Address, owner: Owner) -> Iterator[Link]:
    link = Link(address, "imgbatch-test-link", Hooks(owner.up, owner.down))
    link.start()
    yield link
    link.close()
    assert link._ended.is_set()


def test_a_link_tells_that_it_is_up(link: Link, owner: Owner, eventually: Eventually) -> None:
    eventually(lambda: owner.ups)
    assert link.was_up
    assert link.trouble is None
    assert link.channel is owner.ups[0]
    assert owner.threads == {"link-imgbatch-test-link"}


def test_what_is_submitted_runs_in_order_on_the_links_thread(
    link: Link, owner: Owner, eventually: Eventually
) -> None:
    ran: list[tuple[int, str]] = []

    def submit_many(start: int) -> None:
        for number in range(start, start + 200):
            link.submit(lambda number=number: ran.append((number, threading.current_thread().name)))

    threads = [threading.Thread(target=submit_many, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(ran) == 600)
    assert {name for _, name in ran} == {"link-imgbatch-test-link"}
    for start in (0, 1000, 2000):
        own = [number for number, _ in ran if start <= number < start + 1000]
        assert own == list(range(start, start + 200))


def test_a_connection_that_the_broker_closes_comes_back(
    broker: Broker, link: Link, owner: Owner, eventually: Eventually
) -> None:
    eventually(lambda: owner.ups)
    broker.control("close_all_connections", "the test closes it")
    eventually(lambda: len(owner.ups) == 2)
    assert "the test closes it" in owner.cuts[0].reason
    assert owner.cuts[0].channel_error == 0
    assert link.channel is owner.ups[1]
    assert link.trouble is None
    assert link.refusal is None


def test_a_channel_that_the_broker_closes_comes_back_on_a_new_connection(
    link: Link, owner: Owner, topology: Any, eventually: Eventually
) -> None:
    eventually(lambda: owner.ups)
    link.submit(lambda: link.channel.queue_declare(topology.work_queue("gone"), passive=True))
    eventually(lambda: len(owner.ups) == 2)
    assert owner.cuts[0].channel_error == 404
    assert f"'{topology.work_queue('gone')}'" in owner.cuts[0].reason
    assert owner.ups[0].connection is not owner.ups[1].connection


def test_an_error_in_what_was_submitted_costs_a_reconnection_and_no_more(
    link: Link, owner: Owner, eventually: Eventually
) -> None:
    ran: list[int] = []
    eventually(lambda: owner.ups)
    link.submit(lambda: next(iter([])))
    link.submit(lambda: ran.append(1))
    eventually(lambda: ran and len(owner.ups) == 2)


def test_an_error_in_a_hook_costs_a_reconnection_and_no_more(
    address: Address, eventually: Eventually
) -> None:
    ups: list[Any] = []

    def fail_at_first(channel: Any) -> None:
        ups.append(channel)
        if len(ups) == 1:
            raise RuntimeError("a bug")

    def fail(_cut: Cut) -> None:
        raise RuntimeError("another bug")

    link = Link(address, "imgbatch-test-hooks", Hooks(fail_at_first, fail))
    link.start()
    eventually(lambda: len(ups) == 2 and link.channel is ups[1])
    link.close()
    assert link._ended.is_set()


def test_a_loop_that_fails_takes_nothing_with_it(
    link: Link, owner: Owner, eventually: Eventually
) -> None:
    ran: list[int] = []
    eventually(lambda: owner.ups)

    def fail() -> None:
        for number in range(100):
            link.submit(lambda number=number: ran.append(number))
        raise RuntimeError("a bug of pika's")

    link._loop.add_callback_threadsafe(fail)
    eventually(lambda: len(owner.ups) == 2)
    eventually(lambda: len(ran) == 100)
    assert ran == list(range(100))
    assert "error in pika" in owner.cuts[0].reason


@pytest.mark.parametrize("login", ["guest:wr0ngpass", "stranger:wr0ngpass"])
def test_a_wrong_password_is_a_refusal_that_does_not_repeat_it(
    broker: Broker, login: str, eventually: Eventually
) -> None:
    url = broker.url.replace("guest:guest", login)
    link = Link(Address(url), "imgbatch-test-refused", Hooks(lambda _channel: None))
    link.start()
    eventually(lambda: link.refusal)
    link.close()
    assert link.refusal is not None
    assert link.refusal.code is Code.BROKER_REFUSED
    assert "check user and password" in str(link.refusal)
    assert "wr0ngpass" not in f"{link.refusal} {link.trouble}"
    assert not link.was_up


def test_a_missing_virtual_host_is_a_refusal(broker: Broker, eventually: Eventually) -> None:
    url = f"{broker.url.rstrip('/')}/no-such-host"
    link = Link(Address(url), "imgbatch-test-vhost", Hooks(lambda _channel: None))
    link.start()
    eventually(lambda: link.refusal)
    link.close()
    assert "no-such-host" in str(link.refusal)


def test_where_nobody_listens_the_trouble_says_so_and_the_link_goes_on_trying(
    eventually: Eventually,
) -> None:
    address = Address(f"amqp://user:wr0ngpass@127.0.0.1:{free_port()}/")
    link = Link(address, "imgbatch-test-nobody", Hooks(lambda _channel: None))
    link.start()
    eventually(lambda: "no broker is answering" in (link.trouble or ""))
    assert str(address) in (link.trouble or "")
    assert "wr0ngpass" not in (link.trouble or "")
    assert link.refusal is None
    assert not link.was_up
    link.close()
    assert link._ended.is_set()


@pytest.mark.parametrize("wait_seconds", [0.0, 0.005, 0.02, 0.05])
def test_a_link_can_be_closed_at_any_moment_of_its_beginning(
    address: Address, wait_seconds: float
) -> None:
    link = Link(address, f"imgbatch-test-close-{wait_seconds}", Hooks(lambda _channel: None))
    link.start()
    time.sleep(wait_seconds)
    link.close()
    link._thread.join(10)
    assert not link._thread.is_alive()


def test_a_link_that_was_never_started_can_be_closed(address: Address) -> None:
    link = Link(address, "imgbatch-test-unstarted", Hooks(lambda _channel: None))
    link.close()
    assert not link.was_up


def test_a_server_that_takes_connections_and_says_nothing_does_not_hold_a_close() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address(f"amqp://127.0.0.1:{silent.getsockname()[1]}/")
        link = Link(address, "imgbatch-test-silent", Hooks(lambda _channel: None))
        link.start()
        peer, _ = silent.accept()
        link.close(0.1)
        assert not link.was_up
        peer.close()
    link._thread.join(10)
    assert not link._thread.is_alive()


def test_a_closed_link_has_left_the_broker(
    broker: Broker, address: Address, channel: BlockingChannel, eventually: Eventually
) -> None:
    ups: list[Any] = []
    link = Link(address, "imgbatch-test-left", Hooks(ups.append))
    link.start()
    eventually(lambda: ups)
    link.submit(lambda: ups[0].queue_declare("imgbatch-test-exclusive", exclusive=True))
    link.close()
    link.close()
    assert link._ended.is_set()
    # It would be locked if its connection were still there.
    channel.queue_declare("imgbatch-test-exclusive", exclusive=True)


def test_a_link_that_is_closed_while_its_connection_is_closing_leaves_no_socket_behind(
    address: Address, eventually: Eventually
) -> None:
    links: list[Link] = []
    ups: list[Any] = []

    def close_at_once(_cut: Cut) -> None:
        links[0].close(0)  # carried out next on the link's thread, after it has said goodbye

    links.append(Link(address, "imgbatch-test-twice", Hooks(ups.append, close_at_once)))
    links[0].start()
    eventually(lambda: ups)
    links[0].submit(lambda: ups[0].queue_declare("imgbatch-test-none", passive=True))
    links[0]._thread.join(10)
    assert not links[0]._thread.is_alive()
    assert ups[0].connection.is_closed
    assert links[0]._connection is None


def test_an_address_whose_options_make_no_sense_is_refused_before_anything_starts() -> None:
    with pytest.raises(Exception, match="make no sense"):
        Link(Address("amqp://broker/?x=1"), "imgbatch-test", Hooks(lambda _channel: None))
