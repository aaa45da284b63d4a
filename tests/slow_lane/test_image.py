"""The container image: built as its Containerfile says, and run as an engine would run it.

Read-only, as a user without a name, without a capability, as process 1, held to a share of a core.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest
from bench.harness.quotas import held
from tests.support import containerfile
from tests.support.brokers import Broker, Place
from tests.support.containerfile import PROJECT, Image
from tests.support.programs import Programs, wait_until
from tests.support.rabbitmq import free_port
from tests.support.rights import SERVER, as_user

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]
PHOTOS = PROJECT / "examples" / "photos"
BASE = Path("/var/tmp/imgbatch-debian-base")
CACHE = "/var/cache/imgbatch"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if os.geteuid() != 0:
        pytest.skip("root is needed for debootstrap and chroot")
    subprocess.run([PROJECT / "scripts" / "debian-root", BASE, "trixie"], check=True)
    stages = containerfile.read(PROJECT / "deploy" / "Containerfile")
    folder = tmp_path_factory.mktemp("image")
    yield containerfile.build(stages, folder, {stages[0].base: BASE})
    shutil.rmtree(folder)


class Server:
    """A container with a server in it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process, self.log, self.port = process, log, port

    @property
    def pid(self) -> int:
        """What is process 1 inside, as it is known out here."""
        (child,) = (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        )
        return int(child)

    def said(self) -> str:
        return self.log.read_text()

    def answers(self, page: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{page}", timeout=5) as got:
                return bool(got.status == 200)
        except (URLError, OSError):
            return False

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.answers("ready") or self.process.poll() is not None, self.said())
        assert self.answers("healthy"), self.said()

    def stop(self) -> int:
        """Stop it as an engine does, and return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(40)


@contextmanager
def server(image: Image, place: Place, log: Path, cores: float, **more: object) -> Iterator[Server]:
    port = free_port()
    broker = as_user(place.url, SERVER)
    environment = {"IMGBATCH_BROKER": broker, "IMGBATCH_METRICS_PORT": str(port)}
    with (
        held(cores) as prefix,
        containerfile.running(
            image, ["--name", "boxed"], log, environment=environment, prefix=prefix, **more  # type: ignore[arg-type]
        ) as process,
    ):  # fmt: skip
        yield Server(process, log, port)


@pytest.fixture
def place(broker: Broker) -> Place:
    return broker.place()


def test_without_a_writable_place_it_uses_the_kernels_of_its_baseline(
    image: Image, place: Place, tmp_path: Path
) -> None:
    with server(image, place, tmp_path / "log", 1.0) as boxed:
        boxed.wait_until_ready()
        assert "compiling" not in boxed.said()
        assert "worker processes: 1;" in boxed.said()  # as many as its quota leaves
        status = Path(f"/proc/{boxed.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == ["10001"] * 4
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        assert boxed.stop() == 0
        assert "0 images done; ended" in boxed.said()


def test_with_a_volume_it_compiles_for_the_processor_at_hand_and_once_only(
    image: Image, place: Place, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)  # as Kubernetes' emptyDir is
    for times, log in ((1, tmp_path / "first"), (0, tmp_path / "second")):
        with server(image, place, log, 2.0, volumes={CACHE: (cache, "rw")}) as boxed:
            boxed.wait_until_ready()
            assert boxed.said().count("compiling the kernels") == times
            assert boxed.stop() == 0


def test_a_run_in_containers_gives_the_bytes_of_one_without_and_changes_nothing_in_the_image(
    image: Image, place: Place, programs: Programs, tmp_path: Path
) -> None:
    out = tmp_path / "boxed-out"
    out.mkdir()
    os.chown(out, 1000, 1000)
    options = ["--contrast", "20", "--sharpness", "30"]
    plain = programs.client(PHOTOS, tmp_path / "out", *options)
    assert plain.wait() == 0, plain.said()
    before = listing(image.root)
    with server(image, place, tmp_path / "log", 1.0) as boxed:
        boxed.wait_until_ready()
        with containerfile.running(
            image,
            ["/photos", "/out", *options, "--mixed-fleet"],
            tmp_path / "client.log",
            entrypoint=["/opt/imgbatch/bin/entrypoint", "imgbatch-client"],
            environment={"IMGBATCH_BROKER": place.url},
            volumes={"/photos": (PHOTOS, "ro"), "/out": (out, "rw")},
            user="1000:1000",
        ) as client:
            assert client.wait(120) == 0, (tmp_path / "client.log").read_text()
        assert boxed.stop() == 0
    names = sorted(plain.written())
    same, different, missing = filecmp.cmpfiles(tmp_path / "out", out, names, shallow=False)
    assert (sorted(same), different, missing) == (names, [], [])
    assert (out / names[0]).stat().st_uid == 1000
    assert "<html" in (out / "imgbatch-report.html").read_text()
    assert listing(image.root) == before


def listing(root: Path) -> dict[str, float]:
    return {
        str(path): path.lstat().st_mtime
        for path in root.rglob("*")
        if path.relative_to(root).parts[0] not in {"photos", "out", "proc", "sys", "dev"}
    }


def test_it_can_be_told_to_stop_before_it_has_begun(
    image: Image, place: Place, tmp_path: Path
) -> None:
    """Process 1 hears no signal that it has no handler for, and would be killed after 35 s."""
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    log = tmp_path / "log"
    with server(image, place, log, 0.5, volumes={CACHE: (cache, "rw")}) as boxed:
        wait_until(lambda: "compiling the kernels" in boxed.said(), "compiling")
        assert boxed.stop() == 0
