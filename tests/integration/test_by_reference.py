"""Runs through RabbitMQ whose machines read and write photographs themselves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.brokers import Broker
from tests.support.faulty_http import Fault, faulty_http
from tests.support.photos import encoded, fill
from tests.support.programs import Programs, programs_in, wait_until
from tests.support.proxy import proxy_to
from tests.support.s3 import Bucket

from imgbatch.adjustment import Adjustment
from imgbatch.pipeline import process

pytestmark = [
    pytest.mark.store,
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(180),
]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with programs_in(tmp_path / "logs") as started:
        yield started


@pytest.fixture
def url(broker: Broker) -> str:
    return broker.place().url


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A folder that all machines have mounted."""
    folder = tmp_path.resolve() / "share"
    fill(folder / "in", 4)
    fill(folder / "in" / "deep", 1, ".png", width=900, height=600)
    (folder / "in" / "notes.txt").write_text("where we were")
    (folder / "in" / "damaged.jpg").write_bytes(encoded(".jpg")[:300])
    return folder


def brighter(data: bytes) -> bytes:
    return process(data, Adjustment(brightness=20))


def expected(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): brighter(path.read_bytes()) for path in folder.rglob("IMG*")
    }


def test_a_share_is_read_and_written_by_the_machines_themselves(
    broker: Broker, programs: Programs, share: Path
) -> None:
    place = broker.place()
    programs.server(place.url, "--allow", share)
    programs.wait_for_machines(place.url, 1)
    fill(share / "in" / "large", 3, ".png", width=1200, height=900)  # of 3 MB each
    with proxy_to(place.port) as proxy:
        words = ["--brightness", 20, "--direct", "--html"]
        url = place.through(proxy.port)
        client = programs.client(share / "in", share / "out", *words, broker=url)
        assert client.wait() == 1, client.said()
        carried = sum(proxy.carried_bytes.values())
    results = {name: (share / "out" / name).read_bytes() for name in client.written()}
    assert results == expected(share / "in")
    assert carried < 200_000
    files = {Path(file["input"]).name: file for file in client.report()["files"]}
    assert files["damaged.jpg"]["error"]["code"] == "truncated-image"
    assert files["notes.txt"]["status"] == "skipped"
    assert files["IMG_0000.png"]["bytes_out"] == (share / "out/large/IMG_0000.png").stat().st_size
    stats = [(share / folder / "IMG_0000.jpg").stat() for folder in ("in", "out")]
    assert stats[0].st_mtime_ns == stats[1].st_mtime_ns
    assert "data:image/jpeg;base64" in (share / "out" / "imgbatch-report.html").read_text()


def test_a_bucket_is_read_and_written_by_the_machines_themselves(
    bucket: Bucket, programs: Programs, url: str, tmp_path: Path
) -> None:
    photos = bucket.fill("in", 6)
    for name in ("a", "b"):
        programs.server(url, "--allow", bucket.url, name=name)
    programs.wait_for_machines(url, 2)
    words = ["--brightness", 20]
    client = programs.client(f"{bucket.url}/in", f"{bucket.url}/out", *words, broker=url)
    assert client.wait() == 0, client.said()
    results = {name: bucket.get(f"out/{name}") for name in photos}
    assert results == {name: brighter(data) for name, data in photos.items()}
    assert bucket.attributes("out/IMG_0000.jpg")["Content-Type"] == "image/jpeg"
    again = programs.client(f"{bucket.url}/in", f"{bucket.url}/out", "--resume", *words, broker=url)
    assert again.wait() == 0, again.said()
    told = json.loads(bucket.get("out/imgbatch-report.json"))
    assert told["images"]["written"] == 6

    down = programs.client(f"{bucket.url}/in", tmp_path / "down", *words, broker=url)
    assert down.wait() == 0, down.said()
    assert {name: (tmp_path / "down" / name).read_bytes() for name in photos} == results
    up = programs.client(tmp_path / "down", f"{bucket.url}/up", broker=url)
    assert up.wait() == 0, up.said()
    assert bucket.get("up/IMG_0005.jpg") == process(results["IMG_0005.jpg"], Adjustment())


def test_a_server_that_may_not_touch_a_place_says_so_and_does_nothing_there(
    bucket: Bucket, programs: Programs, url: str, share: Path
) -> None:
    bucket.fill("in", 1)
    programs.server(url, "--allow", f"{bucket.url}-evil", "--allow", share / "in", name="guarded")
    programs.wait_for_machines(url, 1)
    for places in ((f"{bucket.url}/in", share / "out"), (share / "in", share / "out", "--direct")):
        client = programs.client(*places, "--timeout", 1, broker=url)
        assert client.wait() == 3
        assert "guarded: " in client.said()
        assert "may not be touched by this server, whose --allow lists" in client.said()
    status = programs.status(url).stdout
    assert f"reads and writes {bucket.url}-evil, file://{share}/in" in status
    (machine,) = programs.machines(url)
    assert machine["allowed"] == [f"{bucket.url}-evil", f"file://{share}/in"]


def test_a_server_that_may_not_is_named_while_others_work(
    programs: Programs, url: str, share: Path
) -> None:
    programs.server(url, "--allow", share, name="open")
    programs.server(url, name="guarded")
    programs.wait_for_machines(url, 2)
    client = programs.client(share / "in", share / "out", "--direct", broker=url)
    assert client.wait() == 1  # one is damaged
    assert f"guarded: {share}/in may not be touched by this server" in client.said()
    assert {machine["name"] for machine in programs.machines(url)} == {"open", "guarded"}
    assert client.report()["machines_used"] == 1


def test_a_server_that_has_the_share_not_mounted_takes_no_part(
    programs: Programs, url: str, share: Path
) -> None:
    private = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {share} && exec "$@"', "sh")
    programs.server(url, "--allow", share, name="unmounted", prefix=private)
    programs.wait_for_machines(url, 1)
    words = ["--direct", "--timeout", 1]
    client = programs.client(share / "in", share / "out", *words, broker=url)
    assert client.wait() == 3
    assert f"unmounted: {share}/in is no folder on this machine" in client.said()


def test_credentials_that_one_machine_lacks_end_the_run_with_its_name(
    bucket: Bucket, programs: Programs, url: str
) -> None:
    bucket.fill("in", 2)
    env = {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    programs.server(url, "--allow", bucket.url, name="poor", env=env)
    programs.wait_for_machines(url, 1)
    client = programs.client(f"{bucket.url}/in", f"{bucket.url}/out", broker=url)
    assert client.wait() == 3
    assert "The run could not go on: poor-" in client.said()
    assert f"{bucket.url} refuses this machine's credentials" in client.said()
    assert "not-the-secret" not in client.said()


def test_a_store_that_a_machine_waits_for_is_told_to_the_client(
    bucket: Bucket, programs: Programs, url: str
) -> None:
    bucket.fill("in", 1)
    with faulty_http(bucket.server.port) as proxy:
        proxy.chosen = lambda _method, path: path.endswith(".jpg")
        proxy.faults = [Fault.SLOW_DOWN] * 1_000
        env = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        programs.server(url, "--allow", bucket.url, name="slow", env=env)
        programs.wait_for_machines(url, 1)
        words = ["--progress", "plain"]
        client = programs.client(f"{bucket.url}/in", f"{bucket.url}/out", *words, broker=url)
        told = f"waiting for {bucket.url}: it answers 503 SlowDown"
        wait_until(lambda: told in client.said(), "the client says why nothing moves")
        proxy.faults = []
        assert client.wait() == 0, client.said()


def test_a_killed_worker_costs_no_object_and_leaves_none_half_written(
    bucket: Bucket, programs: Programs, url: str
) -> None:
    photos = bucket.fill("in", 16, ".png", width=600, height=400)
    server = programs.server(url, "--allow", bucket.url, procs=2)
    programs.wait_for_machines(url, 1)
    words = ["--brightness", 20]
    client = programs.client(f"{bucket.url}/in", f"{bucket.url}/out", *words, broker=url)
    wait_until(lambda: len(bucket.keys("out")) > 1, "some results")
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    assert client.wait() == 0, client.said()
    results = {name: bucket.get(f"out/{name}") for name in bucket.keys("out") if "IMG" in name}
    assert results == {name: brighter(data) for name, data in photos.items()}
