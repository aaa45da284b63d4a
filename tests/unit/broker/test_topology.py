"""Names on the broker."""

from __future__ import annotations

import pytest

from imgbatch.broker.topology import Topology


def test_one_prefix_covers_every_name() -> None:
    topology = Topology("studio.")
    names = [
        topology.clients,
        topology.announcements,
        topology.discover,
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
