"""Whole runs on other machines: real servers, clients and a real broker, as a user starts them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pika
import pytest
from PIL import Image
from tests.support.brokers import Broker, Place
from tests.support.oracle import FACTORS, check, check_no_temporary_file
from tests.support.photos import encoded, fill
from tests.support.programs import Client, Programs, environment, programs_in, wait_until
from tests.support.proxy import proxy_to
from tests.support.rabbitmq import free_port
from tests.support.rights import CLIENT, login, passwords
from tests.support.slow_photos import slow

from imgbatch.broker.topology import DISCOVER, STATUS, Topology
from imgbatch.protocol.codec import encode
from imgbatch.protocol.frames import Discover, ServerStatus

pytestmark = pytest.mark.broker
PHOTOS = Path(__file__).parents[2] / "examples/photos"
TOPOLOGY = Topology()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with programs_in(tmp_path / "logs") as programs:
        yield programs


@pytest.fixture
def place(broker: Broker) -> Place:
    return broker.place()


@pytest.fixture(scope="module")
def staffed(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place where one server with two workers listens, for tests that leave it as it is."""
    place = broker.place()
    with programs_in(tmp_path_factory.mktemp("logs")) as programs:
        programs.server(place.url, name="staff", procs=2, fragile=True)
        yield place


def copies(folder: Path, count: int) -> Path:
    """Fill a folder with the same small photograph, under many names."""
    folder.mkdir()
    photo = encoded(".jpg")
    for number in range(count):
        (folder / f"{number:05}.jpg").write_bytes(photo)
    return folder


def batches(place: Place, programs: Programs) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(programs.status(place.url, "--json").stdout)[
        "batches"
    ]
    return found


def publish(place: Place, exchange: str, routing_key: str, body: bytes) -> None:
    """Publish a message as any program could."""
    with pika.BlockingConnection(pika.URLParameters(place.administrators_url)) as connection:
        connection.channel().basic_publish(exchange, routing_key, body)


def test_results_are_the_local_engines_byte_for_byte(
    staffed: Place, programs: Programs, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for photo in PHOTOS.iterdir():
        if photo.suffix != ".md":
            shutil.copy(photo, source)
    Image.fromarray(np.full((1, 1, 3), 99, np.uint8)).save(source / "tiny.png")
    noise = np.random.default_rng(0).integers(0, 256, (3700, 3700, 3), np.uint8)
    Image.fromarray(noise).save(source / "large.png", compress_level=0)
    assert (source / "large.png").stat().st_size > 40_000_000
    local = programs.client(source, tmp_path / "local", *FACTORS)
    assert local.wait() == 0, local.said()
    client = programs.client(source, tmp_path / "out", *FACTORS, broker=staffed.url)
    assert client.wait() == 0, client.said()
    assert len(client.written()) == len(list(source.iterdir()))
    for name in client.written():
        same = (client.target / name).read_bytes() == (local.target / name).read_bytes()
        assert same, name
    report = check(client)
    assert report["engine"] == "rabbitmq"
    (machine,) = report["machines"]
    assert machine["id"].startswith("staff-")
    assert machine["procs"] == 2
    assert machine["images"] == len(client.written())


def test_nothing_is_left_on_the_broker(
    staffed: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 3)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=staffed.url)
    assert client.wait() == 0, client.said()
    names = broker.control("list_queues", "-p", staffed.path[1:], "--no-table-headers", "name")
    kinds = {name.split(".")[1] for name in names.split()}
    assert kinds == {"server", "worker"}


def test_programs_may_start_in_any_order(
    broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    place, port = broker.place(), free_port()
    fill(tmp_path / "in", 5)
    url = place.through(port)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=url)
    wait_until(lambda: "no broker is answering" in client.said(), "the client waits for a broker")
    server = programs.server(url)
    wait_until(lambda: "no broker is answering" in server.said(), "the server waits as well")
    with proxy_to(place.port, port=port):
        assert client.wait() == 0, client.said()
        check(client)


def test_a_client_waits_for_a_server_and_says_so(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 5)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    wait_until(lambda: "no server is listening on" in client.said(), "the client waits")
    assert "guest:guest" not in client.said()
    programs.server(place.url)
    assert client.wait() == 0, client.said()
    check(client)


def test_a_run_is_held_to_some_machines_and_others_may_join_late(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    slow(tmp_path / "in", 120, 100)
    programs.server(place.url, name="a", fragile=True)
    everyone = programs.client(tmp_path / "in", tmp_path / "all", *FACTORS, broker=place.url)
    held = programs.client(
        tmp_path / "in", tmp_path / "one", *FACTORS, "--machines", 1, broker=place.url
    )
    everyone.wait_for_results(5)
    held.wait_for_results(5)
    programs.server(place.url, name="b", fragile=True)
    assert everyone.wait() == 0, everyone.said()
    assert held.wait() == 0, held.said()
    names = {machine["id"][0]: machine["images"] for machine in check(everyone)["machines"]}
    assert sum(names.values()) == 120
    assert names["b"] > 10
    assert [machine["id"][0] for machine in check(held)["machines"]] == ["a"]


def test_clients_get_only_what_is_theirs(
    staffed: Place, programs: Programs, tmp_path: Path
) -> None:
    clients = []
    for number in range(3):
        source = tmp_path / f"in{number}"
        source.mkdir()
        for index in range(40):  # the same names, other photographs
            (source / f"{index}.jpg").write_bytes(encoded(".jpg", seed=100 * number + index))
        target = tmp_path / f"out{number}"
        clients.append(programs.client(source, target, *FACTORS, broker=staffed.url))
    for client in clients:
        assert client.wait() == 0, client.said()
        check(client)


def test_a_small_batch_does_not_wait_behind_a_large_one(
    staffed: Place, programs: Programs, tmp_path: Path
) -> None:
    slow(tmp_path / "large", 300, 100)
    slow(tmp_path / "small", 10, 100)
    large = programs.client(tmp_path / "large", tmp_path / "out1", *FACTORS, broker=staffed.url)
    large.wait_for_results(10)
    small = programs.client(tmp_path / "small", tmp_path / "out2", *FACTORS, broker=staffed.url)
    before = len(large.written())
    small.wait_for_results(1)
    assert small.wait() == 0, small.said()
    # While the small one got its 10 images done, the large one got about as many, plus what was
    # done while the small client started.
    meanwhile = len(large.written()) - before
    assert meanwhile < 150, meanwhile
    assert large.is_alive
    check(small)
    large.send(signal.SIGINT)
    assert large.wait() == 130


def test_ctrl_c_ends_a_run_in_order_and_resume_completes_it(
    staffed: Place, programs: Programs, tmp_path: Path
) -> None:
    slow(tmp_path / "in", 60, 100)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=staffed.url)
    client.wait_for_results(5)
    client.send(signal.SIGINT)
    assert client.wait() == 130
    assert "--resume" in client.said()
    images = client.report()["images"]
    assert 5 <= images["written"] == len(client.written()) < 60
    check_no_temporary_file(client.target)
    again = programs.client(
        tmp_path / "in", tmp_path / "out", *FACTORS, "--resume", broker=staffed.url
    )
    assert again.wait() == 0, again.said()
    check(again)


@pytest.mark.parametrize("what", ["server", "broker"])
def test_a_run_gives_up_after_its_timeout(
    what: str, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 2)
    place = broker.place()
    url = place.url if what == "server" else place.through(free_port())
    client = programs.client(
        tmp_path / "in", tmp_path / "out", *FACTORS, "--timeout", 4, broker=url
    )
    assert client.wait() == 3
    assert f"no {what} is" in client.said()
    assert "gave up after 4 s" in client.said()
    assert {entry["status"] for entry in client.report()["files"]} == {"not-done"}


def test_a_wrong_password_is_one_sentence_and_exit_3(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 2)
    url = place.url.replace(login(CLIENT), "guest:swordfish")
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=url)
    server = programs.server(url)
    for program in (client, server):
        assert program.wait() == 3, program.said()
        assert "check user and password" in program.said()
        assert "Traceback" not in program.said()
        assert "swordfish" not in program.said()
    status = programs.status(url)
    assert status.returncode == 3
    assert "check user and password" in status.stderr


def test_one_user_may_be_client_and_server_and_without_permissions_it_ends_at_once(
    broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    place = broker.place()
    broker.control("add_user", "imgbatch", "a-secret")
    virtual_host = ("-p", place.path[1:], "imgbatch")
    broker.control("set_permissions", *virtual_host, "^$", "^$", "^$")
    url = place.url.replace(login(CLIENT), "imgbatch:a-secret")
    fill(tmp_path / "in", 3)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=url)
    server = programs.server(url)
    for program in (client, server):
        assert program.wait() == 3, program.said()
        assert "ACCESS_REFUSED" in program.said()
        assert "Traceback" not in program.said()
    ours = r"^imgbatch\..*$"
    broker.control("set_permissions", *virtual_host, ours, ours, ours)
    programs.server(url)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, "--overwrite", broker=url)
    assert client.wait() == 0, client.said()
    check(client)


def test_the_client_makes_the_page_without_a_codec_and_without_another_process(
    staffed: Place, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 2)
    code = (
        "import sys\n"
        "events = []\n"
        "sys.addaudithook(lambda event, _: events.append(event))\n"
        "from imgbatch.cli.client import main\n"
        "assert main() == 0\n"
        "starts = {'os.fork', 'os.forkpty', 'os.posix_spawn', 'subprocess.Popen', 'os.exec'}\n"
        "assert not starts & set(events), starts & set(events)\n"
        "print(*sys.modules)\n"
    )
    words = [tmp_path / "in", tmp_path / "out", *FACTORS, "--broker", staffed.url]
    finished = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(),
        check=True,
    )
    modules = {name.partition(".")[0] for name in finished.stdout.split()}
    assert "imgbatch" in modules
    assert modules & {"numba", "llvmlite", "cv2", "numpy", "simplejpeg", "PIL"} == set()
    assert (tmp_path / "out" / "imgbatch-report.html").read_text().count("<figure>") == 2


def test_the_page_shows_before_and_after_as_a_run_on_this_machine_does(
    staffed: Place, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 5)
    fill(tmp_path / "in" / "large", 2, ".png", width=900, height=600)
    local, remote = (
        programs.client(tmp_path / "in", tmp_path / name, *FACTORS, "--html", broker=broker)
        for name, broker in (("local", None), ("out", staffed.url))
    )
    assert local.wait() == 0, local.said()
    assert remote.wait() == 0, remote.said()
    check(remote)
    assert pictures(local) == pictures(remote)
    assert len(pictures(remote)) == 2 * 7


def pictures(client: Client) -> list[str]:
    """Return the pictures on a run's page, in base64."""
    page = (client.target / "imgbatch-report.html").read_text()
    return re.findall(r'data:image/jpeg;base64,([^"]+)', page)


def test_rubbish_for_thumbnails_costs_the_page_its_pictures_and_nothing_else(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 6)
    fill(tmp_path / "in" / "large", 4, ".png", width=900, height=600)
    programs.odd_server(place.url, "odd")
    client = programs.client(
        tmp_path / "in", tmp_path / "out", *FACTORS, "--html", broker=place.url
    )
    assert client.wait() == 0, client.said()
    report = check(client)
    assert {image["attempts"] for image in report["files"]} == {1}
    assert pictures(client) == []
    assert "alert(1)" not in (client.target / "imgbatch-report.html").read_text()


def test_the_broker_holds_no_more_than_the_workers_are_about_to_use(
    staffed: Place, broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    copies(tmp_path / "in", 4000)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=staffed.url)
    client.wait_for_results(50)
    columns = ("name", "messages", "message_bytes")
    most_messages = most_bytes = looks = 0
    while client.is_alive:
        lines = broker.control(
            "list_queues", "-p", staffed.path[1:], "--no-table-headers", *columns
        )
        rows = [line.split("\t") for line in lines.splitlines()]
        most_messages = max(most_messages, sum(int(row[1]) for row in rows))
        most_bytes = max(most_bytes, sum(int(row[2]) for row in rows))
        looks += 1
    assert client.wait() == 0, client.said()
    assert looks >= 2
    # Two workers, for each eight messages of at most sixteen tickets; and as many results on their
    # way back, or written and not yet acknowledged, which four are at most.
    most = 2 * 8 * 16
    image_bytes = len(encoded(".jpg")) + 1000
    assert most_messages <= 2 * 8 + most + 4
    assert most_bytes <= (2 * most + 4) * image_bytes
    check(client)


def test_a_server_leaves_in_order_and_nothing_is_done_twice(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    slow(tmp_path / "in", 60, 200)
    leaving = programs.server(place.url, name="a", procs=2, fragile=True)
    programs.server(place.url, name="b", fragile=True)
    programs.wait_for_machines(place.url, 2)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(10)
    begun = time.monotonic()
    leaving.send(signal.SIGTERM)
    assert leaving.wait() == 0, leaving.said()
    assert time.monotonic() - begun < 30
    assert client.wait() == 0, client.said()
    report = check(client)
    done = {machine["id"]: machine["images"] for machine in report["machines"]}
    (machine_a,) = (name for name in done if name.startswith("a-"))
    assert f"{machine_a}: {done[machine_a]} images done; ended" in leaving.said()
    (machine_b,) = programs.machines(place.url)
    assert machine_b["images"] == done[machine_b["machine"]] == 60 - done[machine_a]


def test_status_shows_machines_and_batches(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    nobody = programs.status(place.url)
    assert nobody.returncode == 1
    assert "no server is listening" in nobody.stdout
    slow(tmp_path / "in", 200, 100)
    programs.server(place.url, name="darkroom", procs=2, fragile=True)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    client.wait_for_results(30)
    table = programs.status(place.url)
    assert table.returncode == 0
    assert "darkroom-" in table.stdout
    assert "MACHINE" in table.stdout
    assert "BATCH" in table.stdout
    fields = json.loads(programs.status(place.url, "--json").stdout)
    (machine,) = fields["machines"]
    assert machine["name"] == "darkroom"
    assert machine["procs"] == 2
    assert machine["busy"] in (1, 2)
    assert machine["images"] >= 30
    assert machine["images_per_second"] > 0
    (batch,) = fields["batches"]
    assert machine["batches"] == 1
    assert 30 <= batch["done"] <= batch["total"] == 200
    assert batch["machines"] == 1
    client.send(signal.SIGINT)
    assert client.wait() == 130
    assert batches(place, programs) == []


def test_a_machine_that_computes_other_bits_is_refused_by_name_or_allowed_and_reported(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    slow(tmp_path / "in", 80, 100)
    programs.server(place.url, name="even", fragile=True)
    first = programs.client(tmp_path / "in", tmp_path / "out1", *FACTORS, broker=place.url)
    first.wait_for_results(5)
    programs.odd_server(place.url, "odd")
    other = re.compile(r"odd \(.*\) computes other bits than even: .*simplejpeg 0\.0\.1")
    wait_until(lambda: other.search(first.said()), "the odd server is refused")
    assert first.wait() == 0, first.said()
    assert "odd-" not in json.dumps(check(first)["machines"])
    second = programs.client(
        tmp_path / "in", tmp_path / "out2", *FACTORS, "--mixed-fleet", broker=place.url
    )
    assert second.wait() == 0, second.said()
    machines = check(second)["machines"]
    assert {machine["id"].partition("-")[0] for machine in machines} == {"even", "odd"}
    assert len({machine["digest"] for machine in machines}) == 2


def test_peers_of_another_version_are_told_apart_from_nobody(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 3)
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
    wait_until(lambda: "no server is listening" in client.said(), "the client waits")
    announcement = ServerStatus(
        machine="m-1", name="m", host="h", queue="imgbatch.server.1", procs=1, busy=0,
        version="3.0.0", digest="d", components={}, images=0, busy_seconds=0.0,
        images_per_second=0.0, batches=0, leaving=False, interval_seconds=3.0,
    )  # fmt: skip
    publish(place, TOPOLOGY.to_clients, STATUS, of_version_3(encode(announcement)))
    both = "a peer speaks version 3 of the protocol, this one version 2"
    wait_until(lambda: both in client.said(), "the client tells the versions")
    server = programs.server(place.url)
    wait_until(lambda: "connected to the broker" in server.said(), "the server listens")
    discover = of_version_3(encode(Discover("imgbatch.x")))
    publish(place, TOPOLOGY.to_servers, DISCOVER, discover)
    wait_until(lambda: both in server.said(), "the server tells the versions")
    assert client.wait() == 0, client.said()
    check(client)


def of_version_3(frame: bytes) -> bytes:
    """Return a frame as a later version might begin it."""
    return frame[:2] + b"\x03" + frame[3:]


def test_what_cannot_be_read_is_one_line_each_and_the_rest_is_written(
    staffed: Place, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 5)
    (tmp_path / "in" / "cut.jpg").write_bytes(encoded(".jpg")[:300])
    (tmp_path / "in" / "empty.png").write_bytes(b"")
    (tmp_path / "in" / "notes.txt").write_text("no image\n")
    client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=staffed.url)
    assert client.wait() == 1, client.said()
    failed = {"cut.jpg": "truncated-image", "empty.png": "empty-file", "notes.txt": "not-an-image"}
    check(client, failed)


def test_a_run_can_be_followed_from_client_to_worker_and_in_figures(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """By batch and job in both logs, and in what Prometheus reads."""
    fill(tmp_path / "in", 3)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"\xff\xd8\xff and no more")
    port = free_port()
    log = ("--log-format", "json")
    server = programs.server(place.url, "--metrics-port", port, "--verbose", *log, name="seen")
    client = programs.client(
        tmp_path / "in", tmp_path / "out", *log, "--metrics-file", tmp_path / "run.prom",
        broker=place.url,
    )  # fmt: skip
    assert client.wait() == 1, client.said()
    told, heard = ([json.loads(line) for line in it.said().splitlines()] for it in (client, server))
    outcomes = {it["job"]: it for it in told if "job" in it}
    computed = {it["job"]: it for it in heard if "job" in it}
    assert len(outcomes) == 4
    assert outcomes.keys() == computed.keys()
    assert {it["batch"] for it in outcomes.values()} == {it["batch"] for it in computed.values()}
    for job, outcome in outcomes.items():
        assert outcome.get("code") == computed[job].get("code")
        assert outcome["machine"].startswith("seen-")
    (bad,) = (it for it in outcomes.values() if it["status"] == "failed")
    assert bad["file"] == str(tmp_path / "in" / "bad.jpg")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        shown = page.read().decode()
    assert 'imgbatch_image_seconds_count{format="jpeg",outcome="done"} 3.0' in shown
    assert 'imgbatch_image_seconds_count{format="jpeg",outcome="failed"} 1.0' in shown
    assert "imgbatch_wait_seconds_count 4.0" in shown
    assert 'status="failed"} 1.0' in (tmp_path / "run.prom").read_text()


def test_the_users_of_the_compose_file_may_do_what_a_run_needs(
    broker: Broker, programs: Programs, tmp_path: Path
) -> None:
    yaml = pytest.importorskip("yaml", reason="the extra named deploy is not installed")
    deploy = Path(__file__).parents[2] / "deploy"
    compose = yaml.safe_load((deploy / "compose.yaml").read_text())
    given = {"CLIENT_PASSWORD": "clientsecret", "SERVER_PASSWORD": "serversecret"}

    def filled_in(text: str) -> str:
        filled = re.sub(r"\$\{(\w+)[^}]*\}", lambda name: given[name[1]], text)
        return filled.replace("$$", "$")

    users = broker.node.folder / "compose.json"
    users.write_text(filled_in(compose["configs"]["users"]["content"]))
    server, client = (
        filled_in(compose["services"][name]["environment"]["IMGBATCH_BROKER"])
        .replace("@rabbitmq/", f"@127.0.0.1:{broker.port}/")
        for name in ("server", "client")
    )  # fmt: skip
    fill(tmp_path / "in", 3)
    broker.control("import_definitions", str(broker.node.inside(users)))
    try:
        programs.server(server)
        run = programs.client(tmp_path / "in", tmp_path / "out", broker=client)
        assert run.wait() == 0, run.said()
    finally:  # the other tests' users have the same names
        for name, password in passwords().items():
            broker.control("change_password", name, password)
    assert len(run.written()) == 3
    patterns = json.loads(users.read_text())["permissions"]
    page = (deploy.parent / "docs" / "operations.md").read_text()
    for of_user in patterns:
        assert all(f"'{of_user[name]}'" in page for name in ("configure", "write", "read"))
