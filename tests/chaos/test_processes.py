"""Processes that die, freeze, hang, or are killed by what they read.

Each docstring states how much time a fault may cost beside the work that is done again.
"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from tests.support.brokers import Broker, Place
from tests.support.fragile_server import DIE, HANG, linger
from tests.support.oracle import FACTORS, check, check_no_temporary_file
from tests.support.photos import encoded, fill
from tests.support.programs import Programs, let_pass, wait_until
from tests.support.slow_photos import large, slow

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
SOON = {"heartbeat": 2}
"""Silent peers are found in 14 s instead of 30."""


def images_done(place: Place, programs: Programs) -> dict[str, int]:
    """Return how many images each machine has done since it was started, by its name."""
    machines = json.loads(programs.status(place.url, "--json").stdout)["machines"]
    return {machine["name"]: machine["images"] for machine in machines}


def test_a_killed_worker_costs_its_image_a_second_try(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: the image it had, begun anew, and 2 s until another worker is there."""
    slow(tmp_path / "in", 60, 200)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    for done in (5, 15, 25):
        client.wait_for_results(done)
        victim, _ = wait_for_workers(server, 2)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda victim=victim: victim not in server.workers(), "the worker is gone")
    assert client.wait() == 0, client.said()
    report = check(client)
    assert server.is_alive
    wait_for_workers(server, 2)
    assert server.said().count("was killed by SIGKILL") == 3
    attempts = [entry["attempts"] for entry in report["files"]]
    assert set(attempts) <= {1, 2, 3}


def wait_for_workers(server, count: int) -> list[int]:
    wait_until(lambda: len(server.workers()) == count, f"{count} workers")
    return server.workers()


def test_a_killed_server_takes_its_workers_along_and_another_finishes(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: the images it had, begun anew; the broker gives them out again at once."""
    large(tmp_path / "in", 24, 300)
    victim = programs.server(place.url, name="a", procs=2, fragile=True)
    other = programs.server(place.url, name="b", fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(6)
    workers = victim.workers()
    assert len(workers) == 2
    victim.send(signal.SIGKILL)
    victim.wait()
    wait_until(lambda: not any(is_running(pid) for pid in workers), "its workers die with it")
    assert client.wait() == 0, client.said()
    check(client)
    assert other.is_alive


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_client_leaves_nothing_to_be_computed_and_its_run_can_be_resumed(
    place: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: the images in flight, done again by --resume. The queue is gone after 60 s."""
    slow(tmp_path / "in", 60, 200)
    server = programs.server(place.url, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(8)
    client.send(signal.SIGKILL)
    client.wait()
    # Each worker finishes the image it has, finds that nobody wants it, and gives back the rest.
    wait_until(lambda: "no longer working for batch" in server.said(), "the server lets go", 20)
    let_pass(1)
    done = images_done(place, programs)["a"]
    assert work_queues(broker, place), "its tickets wait for the queue to expire"
    let_pass(3)
    assert images_done(place, programs)["a"] == done < 30

    again = programs.client(
        tmp_path / "in", tmp_path / "out", *FACTORS, "--resume", broker=place.url
    )
    assert again.wait() == 0, again.said()
    check(again)
    assert server.is_alive
    wait_until(lambda: not work_queues(broker, place), "its queue expires", 80)
    assert images_done(place, programs)["a"] - done < 60


def work_queues(broker: Broker, place: Place) -> list[str]:
    names = broker.control("list_queues", "-p", place.path[1:], "--no-table-headers", "name")
    return [name for name in names.split() if name.startswith("imgbatch.batch.")]


def test_a_frozen_server_is_replaced_and_may_come_back(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: 10 s until another machine is enlisted in its place (measured: 13 until its
    first result); the broker gives out its images again when it has missed its heartbeats, after
    20 to 30 s by default, 6 here."""
    slow(tmp_path / "in", 40, 200)
    programs.server(place.through(**SOON), name="first", fragile=True)
    wait_until(lambda: images_done(place, programs), "the first server answers")
    programs.server(place.through(**SOON), name="second", fragile=True)
    client = programs.client(
        tmp_path / "in", tmp_path / "out", *FACTORS, "--machines", 1, broker=place.url
    )
    client.wait_for_results(5)
    client_sees = json.loads(programs.status(place.url, "--json").stdout)
    (working,) = (machine["name"] for machine in client_sees["machines"] if machine["batches"])
    frozen, other = sorted(programs.servers, key=lambda server: working not in server.said())
    frozen.send_all(signal.SIGSTOP)
    assert client.wait() == 0, client.said()
    let_pass(5)
    frozen.send_all(signal.SIGCONT)
    report = check(client)
    assert len(report["machines"]) == 2
    wait_until(lambda: len(images_done(place, programs)) == 2, "the frozen server is back")
    slow(tmp_path / "more", 20, 100)
    both = programs.client(tmp_path / "more", tmp_path / "out2", *FACTORS, broker=place.url)
    assert both.wait() == 0, both.said()
    assert {machine["images"] > 0 for machine in check(both)["machines"]} == {True}
    assert frozen.is_alive
    assert other.is_alive


def test_images_that_kill_or_hang_their_workers_fail_alone(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: three times the image's own time, or the image timeout, and 2 s for a worker."""
    # So many that a dozen tickets travel in one message, and half of them larger than the three, so
    # that these are not the first to go, which are alone in theirs.
    paths = fill(tmp_path / "in", 200)
    for number, path in enumerate(paths[100:]):
        path.write_bytes(encoded(".jpg", width=72, seed=number))
    (tmp_path / "in" / "IMG_0010.jpg").write_bytes(encoded(".jpg") + DIE)
    (tmp_path / "in" / "IMG_0020.jpg").write_bytes(encoded(".jpg") + HANG)
    (tmp_path / "in" / "IMG_0021.jpg").write_bytes(encoded(".jpg") + DIE)
    server = programs.server(place.url, "--image-timeout", 3, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    assert client.wait() == 1, client.said()
    failed = {
        "IMG_0010.jpg": "worker-crashed",
        "IMG_0020.jpg": "image-timeout",
        "IMG_0021.jpg": "worker-crashed",
    }
    report = check(client, failed)
    sentences = " ".join(entry["error"]["sentence"] for entry in report["files"] if entry["error"])
    assert "SIGSEGV" in sentences
    # Three for each image; two, if its ticket was already in the hands of a worker that another of
    # them killed: nobody can tell the client that such a worker had not begun with it.
    assert 4 <= server.said().count("was killed by SIGSEGV") <= 6
    # After 3 s, or 4 where the machine is slow to look.
    assert len(re.findall(r"was killed after \d+ s on one image", server.said())) in (2, 3)
    assert server.is_alive


def test_a_worker_that_stops_on_an_image_is_replaced_and_the_image_done_elsewhere(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: the image timeout, 6 s here, 120 by default."""
    slow(tmp_path / "in", 12, 1000)
    server = programs.server(place.url, "--image-timeout", 6, procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(2)
    victim = server.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    wait_until(lambda: victim not in server.workers(), "the stopped worker is killed")
    assert client.wait() == 0, client.said()
    check(client)
    assert "on one image" in server.said()


def test_an_image_may_take_longer_than_any_patience(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Nothing is lost, and nothing done twice: 40 s are more than after which a ticket of which
    there is no trace is published again."""
    source = tmp_path / "in"
    fill(source, 6)
    (source / "IMG_0000.jpg").write_bytes(encoded(".jpg", seed=9) + linger(40_000))
    programs.server(place.url, fragile=True)
    client = programs.client(source, tmp_path / "out", *FACTORS, broker=place.url)
    assert client.wait() == 0, client.said()
    report = check(client)
    assert {entry["attempts"] for entry in report["files"]} == {1}
    assert images_done(place, programs) == {"a": 6}


def test_servers_of_the_same_name_are_two_machines(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Nothing is lost: a machine's id is made up anew by each server."""
    slow(tmp_path / "in", 40, 100)
    for _ in range(2):
        programs.server(place.url, name="twin", fragile=True)
    wait_until(lambda: programs.status(place.url).stdout.count("twin-") == 2, "both servers answer")
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    assert client.wait() == 0, client.said()
    machines = check(client)["machines"]
    assert len({machine["id"] for machine in machines}) == 2
    assert all(machine["images"] > 5 for machine in machines)


def test_an_interrupted_client_leaves_no_temporary_file_and_ends_in_time(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Ctrl-C once ends a run within 10 s and what it takes to say goodbye, here with an image
    that takes longer; twice, at once."""
    slow(tmp_path / "in", 10, 30_000)
    programs.server(place.url, procs=2, fragile=True)
    wait_until(lambda: images_done(place, programs) == {"a": 0}, "the server answers")
    patient = programs.client(tmp_path / "in", tmp_path / "out1", *FACTORS, broker=place.url)
    hasty = programs.client(tmp_path / "in", tmp_path / "out2", *FACTORS, broker=place.url)
    wait_until(
        lambda: json.loads(programs.status(place.url, "--json").stdout)["machines"][0]["busy"] == 2,
        "both workers are busy",
    )
    patient.send(signal.SIGINT)
    hasty.send(signal.SIGINT)
    let_pass(1)
    hasty.send(signal.SIGINT)
    assert hasty.wait(15) == 130, hasty.said()
    assert patient.wait(40) == 130, patient.said()
    for client in (patient, hasty):
        check_no_temporary_file(client.target)
        assert client.report()["images"]["total"] == 10
