"""Frames that travel together, and messages that are of use only together."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from imgbatch.broker import bundler as bundler_module
from imgbatch.broker.address import DEFAULT_URL, Address
from imgbatch.broker.bundler import LONGEST_WAIT_SECONDS, Bundler
from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.broker.topology import Topology
from imgbatch.protocol.slicing import BUNDLE_BYTES, MOST_FRAMES_PER_BUNDLE


class Outbox(Publisher):
    """Takes messages, and settles them when the test says so."""

    def __init__(self) -> None:
        super().__init__(Address(DEFAULT_URL), "imgbatch-test-out", Topology())
        self.sent: list[tuple[Message, Callable[[Settlement], None]]] = []

    def publish(
        self, message: Message, settled: Callable[[Settlement], None] = lambda _settlement: None
    ) -> None:
        self.sent.append((message, settled))

    post = publish

    def settle(self, number: int, settlement: Settlement) -> None:
        self.sent[number][1](settlement)

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message, _ in self.sent]


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def bundler(outbox: Outbox) -> Bundler:
    return Bundler(outbox, "clients")


@pytest.fixture
def told() -> list[Settlement]:
    return []


def ignore(_settlement: Settlement) -> None:
    """Whatever it is."""


def messages(*bodies: bytes) -> list[Message]:
    return [Message("clients", "topic", body) for body in bodies]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_messages_are_settled_once_when_the_last_of_them_is(
    outbox: Outbox, told: list[Settlement], order: tuple[int, ...]
) -> None:
    outbox.publish_all(messages(b"1", b"2", b"3"), told.append)
    assert outbox.bodies == [b"1", b"2", b"3"]
    for number in order:
        assert told == []
        outbox.settle(number, Settlement.CONFIRMED)
    assert told == [Settlement.CONFIRMED]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("worst", [Settlement.RETURNED, Settlement.REFUSED])
def test_one_message_that_was_not_taken_means_that_none_was(
    outbox: Outbox, told: list[Settlement], worst: Settlement, number: int
) -> None:
    outbox.publish_all(messages(b"1", b"2", b"3"), told.append)
    for sent in range(3):
        outbox.settle(sent, worst if sent == number else Settlement.CONFIRMED)
    assert told == [worst]


def test_no_more_messages_are_made_once_one_was_not_taken(
    outbox: Outbox, told: list[Settlement]
) -> None:
    def make() -> Iterator[Message]:
        yield from messages(b"1", b"2")
        outbox.settle(0, Settlement.CONFIRMED)
        outbox.settle(1, Settlement.RETURNED)
        assert told == []
        yield from messages(b"3", b"4")

    outbox.publish_all(make(), told.append)
    assert outbox.bodies == [b"1", b"2"]
    assert told == [Settlement.RETURNED]


def test_an_error_while_messages_are_made_settles_those_that_were_published(
    outbox: Outbox, told: list[Settlement]
) -> None:
    def make() -> Iterator[Message]:
        yield from messages(b"1")
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        outbox.publish_all(make(), told.append)
    assert told == []
    outbox.settle(0, Settlement.CONFIRMED)
    assert told == [Settlement.CONFIRMED]


def test_frames_leave_together_and_are_each_settled_once(outbox: Outbox, bundler: Bundler) -> None:
    told: list[tuple[int, Settlement]] = []
    for number in range(3):
        bundler.add(
            "topic",
            b"%d" % number,
            lambda settlement, number=number: told.append((number, settlement)),
        )
    assert outbox.sent == []
    bundler.flush()
    bundler.flush()
    assert [message for message, _ in outbox.sent] == messages(b"012")
    assert told == []
    outbox.settle(0, Settlement.RETURNED)
    assert told == [(number, Settlement.RETURNED) for number in range(3)]


@pytest.mark.parametrize(
    ("size", "together"),
    [(1, MOST_FRAMES_PER_BUNDLE), (BUNDLE_BYTES // 4, 4), (2**20, 1)],
)
def test_as_many_leave_as_make_a_message_worth_its_turn(
    outbox: Outbox, bundler: Bundler, size: int, together: int
) -> None:
    for _ in range(together):
        assert outbox.sent == []
        bundler.add("topic", bytes(size), ignore)
    assert [len(body) for body in outbox.bodies] == [together * size]


def test_a_frame_is_not_kept_for_long(
    outbox: Outbox, bundler: Bundler, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(bundler_module.time, "monotonic", lambda: now[0])
    bundler.add("topic", b"1", ignore)
    now[0] += LONGEST_WAIT_SECONDS
    bundler.add("topic", b"2", ignore)
    bundler.add("topic", b"3", ignore)
    assert outbox.bodies == [b"12"]


def test_frames_to_others_leave_in_other_messages(outbox: Outbox, bundler: Bundler) -> None:
    for topic, body in (("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", b"4")):
        bundler.add(topic, body, ignore)
    bundler.flush()
    assert [(message.routing_key, message.body) for message, _ in outbox.sent] == [
        ("a", b"12"),
        ("b", b"3"),
        ("a", b"4"),
    ]


def test_frames_for_two_receivers_never_share_a_message_though_two_threads_add_them(
    outbox: Outbox, bundler: Bundler
) -> None:
    def add(receiver: str) -> None:
        for _ in range(2_000):
            bundler.add(receiver, receiver.encode(), ignore)

    usual_seconds = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=add, args=(receiver,)) for receiver in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual_seconds)
    bundler.flush()
    sent = [(message.routing_key, set(message.body.decode())) for message, _ in outbox.sent]
    assert all(letters == {receiver} for receiver, letters in sent)
    assert sum(len(body) for body in outbox.bodies) == 4_000
