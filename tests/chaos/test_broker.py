"""A broker that dies, blocks, throws everybody out, or loses a queue.

Each docstring states how much time a fault may cost.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.brokers import Broker, Place
from tests.support.oracle import FACTORS, check
from tests.support.programs import Programs, let_pass, wait_until
from tests.support.slow_photos import large, slow

pytestmark = [pytest.mark.broker, pytest.mark.chaos]


def test_a_broker_that_dies_and_comes_back_loses_nothing(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Time lost after it is back: up to 5 s until all have connected, and 12 s in which everybody
    may say what he still has (measured: 15). Killed once (it forgets every message), then stopped
    in order, which costs 5 to 12 s."""
    slow(tmp_path / "in", 120, 200)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(10)
    broker.node.kill()
    let_pass(1)
    broker.node.start()
    client.wait_for_results(50)
    broker.control("stop_app")
    wait_until(lambda: "no broker is answering" in client.said(), "the client says so")
    broker.control("start_app")
    client.wait_for_results(90)
    assert client.wait() == 0, client.said()
    check(client)
    assert server.is_alive
    wait_until(lambda: "idle" in programs.status(place.url).stdout, "the server answers")


def test_closed_connections_and_deleted_queues_are_made_anew(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: 5 s until the servers are enlisted again, and at most 12 s in which everybody
    may say what he still has (measured: 6 for the work queue, 11 for all queues)."""
    # Each command to the broker starts a virtual machine; with 240 images a loaded host was done
    # before the last queue was deleted.
    slow(tmp_path / "in", 360, 200)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(10)
    virtual_host = place.path[1:]
    (work_queue,) = queues(broker, virtual_host, "imgbatch.batch.")
    broker.control("delete_queue", "-p", virtual_host, work_queue)
    client.wait_for_results(50)
    broker.control("close_all_connections", "-p", virtual_host, "the operator wants it")
    client.wait_for_results(80)
    # Every queue of ours, also those of one connection alone.
    for name in queues(broker, virtual_host, "imgbatch."):
        with suppress(subprocess.CalledProcessError):  # its owner may have replaced it meanwhile
            broker.control("delete_queue", "-p", virtual_host, name)
    assert client.is_alive
    assert client.wait() == 0, client.said()
    check(client)
    assert server.is_alive


def queues(broker: Broker, virtual_host: str, prefix: str) -> list[str]:
    names = broker.control("list_queues", "-p", virtual_host, "--no-table-headers", "name")
    return [name for name in names.split() if name.startswith(prefix)]


@pytest.fixture
def alarms(broker: Broker) -> Iterator[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]]:
    """What raises and clears each alarm; all are cleared at the end."""
    both = {
        "memory": (
            ("set_vm_memory_high_watermark", "0"),
            ("set_vm_memory_high_watermark", "absolute", "2GB"),
        ),
        "disk": (("set_disk_free_limit", "900GB"), ("set_disk_free_limit", "50MB")),
    }
    yield both
    for _, clear in both.values():
        broker.control(*clear)


def test_alarms_of_the_broker_are_waited_out_and_told(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path, alarms
) -> None:
    """Time lost: the alarm itself and 1 to 2 s (measured), and 5 s until the servers are enlisted
    again if it lasted longer than their leases, 30 s."""
    large(tmp_path / "in", 60, 200)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(5)
    for raising, clearing in alarms.values():
        told = client.said().count("the broker blocks publishing")
        broker.control(*raising)
        wait_until(
            lambda told=told: client.said().count("the broker blocks publishing") > told,
            "the client says that the broker blocks",
        )
        let_pass(3)
        done = len(client.written())
        let_pass(3)
        assert client.is_alive
        assert len(client.written()) <= done + 6, "what was on its way, but no more"
        broker.control(*clearing)
        client.wait_for_results(done + 8)
    assert client.wait() == 0, client.said()
    check(client)
    assert server.is_alive
