"""Names on the broker."""

from __future__ import annotations

import pytest

from imgbatch.broker.topology import Topology


def test_one_prefix_covers_every_name() -> None:
    topology = Topology("studio.")
    names = [
        topology.to_clients,
        topology.to_servers,
        topology.batches,
        topology.private_name("batch"),
        topology.private_name("worker"),
    ]
    assert all(name.startswith("studio.") for name in names)
    assert len(set(names)) == 5


def test_private_names_are_new_each_time() -> None:
    assert len({Topology().private_name("client") for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("queue", "ours"),
    [("imgbatch.batch.b", True), ("imgbatch", False), ("mail", False), ("", False)],
)
def test_queues_that_a_peer_names_are_ours_by_their_prefix(queue: str, ours: bool) -> None:
    assert Topology().is_ours(queue) == ours
