"""Names on the broker, and how what bears them is declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from imgbatch.broker.topology import WORK_QUEUE_EXPIRY_SECONDS, Topology


@dataclass
class Channel:
    """Writes down what is asked of it."""

    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: self.calls.append((name, arguments, named))


def test_one_prefix_covers_every_name() -> None:
    topology = Topology("studio.")
    names = [
        topology.clients,
        topology.announcements,
        topology.calls,
        topology.work_queue("b"),
        topology.private_queue("worker"),
    ]
    assert all(name.startswith("studio.") for name in names)
    assert len(set(names)) == 5
    assert topology.work_queue("b") == "studio.batch.b"
    assert Topology().clients == "imgbatch.clients"


def test_private_queues_have_a_new_name_each_time() -> None:
    assert len({Topology().private_queue("client") for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("queue", "ours"),
    [("imgbatch.batch.b", True), ("imgbatch", False), ("mail", False), ("", False)],
)
def test_queues_that_a_peer_names_are_ours_by_their_prefix(queue: str, ours: bool) -> None:
    assert Topology().is_ours(queue) == ours


def test_exchanges_are_durable() -> None:
    channel = Channel()
    Topology().declare_exchanges(channel)  # type: ignore[arg-type]
    assert channel.calls == [
        ("exchange_declare", ("imgbatch.clients", "topic"), {"durable": True}),
        ("exchange_declare", ("imgbatch.announcements", "fanout"), {"durable": True}),
        ("exchange_declare", ("imgbatch.calls", "fanout"), {"durable": True}),
    ]


def test_work_queues_outlive_their_client_by_a_minute() -> None:
    channel = Channel()
    Topology().declare_work_queue(channel, "q")  # type: ignore[arg-type]
    ((name, arguments, named),) = channel.calls
    assert (name, arguments) == ("queue_declare", ("q",))
    assert named["durable"] is True
    assert named["arguments"] == {"x-expires": WORK_QUEUE_EXPIRY_SECONDS * 1000}


def test_private_queues_go_with_their_connection_and_are_bound_if_they_listen() -> None:
    channel = Channel()
    Topology().declare_private_queue(channel, "q")  # type: ignore[arg-type]
    Topology().declare_private_queue(channel, "r", "imgbatch.clients", "topic")  # type: ignore[arg-type]
    assert channel.calls == [
        ("queue_declare", ("q",), {"exclusive": True}),
        ("queue_declare", ("r",), {"exclusive": True}),
        ("queue_bind", ("r", "imgbatch.clients"), {"routing_key": "topic"}),
    ]
