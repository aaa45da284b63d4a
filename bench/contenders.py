"""Everything that takes part: how each is started, and on what it waits."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.baseline.client import LARGEST_FILE_BYTES
from bench.baseline.operation import FACTORS, QUALITY
from bench.datasets.folders import Folder
from bench.harness.processes import READY_SECONDS, Run, background, measure, program, python
from bench.harness.quotas import held


@dataclass(frozen=True, slots=True)
class Contender:
    """A command that turns a folder of images, up to some size, into another."""

    words: tuple[str, ...]
    largest_bytes: float = float("inf")

    def images(self, folder: Folder) -> int:
        """Return how many of a folder's images it takes."""
        return sum(size <= self.largest_bytes for size in folder.sizes_bytes)

    def command(self, folder: Folder, output: Path) -> list[str]:
        """Return the command that processes a folder."""
        return [*self.words, str(folder.path), str(output)]

    def run(self, folder: Folder, output: Path) -> Run:
        """Run it once, as a whole process."""
        return measure(self.command(folder, output), output, self.images(folder))


OPTIONS = {"progress": "none", "quality": QUALITY, **FACTORS}
CLIENT = program("imgbatch-client", *(f"--{name}={value}" for name, value in OPTIONS.items()))
OURS = ("imgbatch", "imgbatch --no-html", "imgbatch local", "imgbatch local --no-html")
LOCAL = {
    "imgbatch": Contender(CLIENT),
    "imgbatch --no-html": Contender((*CLIENT, "--no-html")),
    "codec floor": Contender(python("bench.peers.pools", "codec")),
    "opencv pool": Contender(python("bench.peers.pools", "opencv")),
    "pyvips": Contender(python("bench.peers.pools", "vips")),
    "pillow": Contender(python("bench.peers.pools", "pillow")),
    "graphicsmagick": Contender(python("bench.peers.magick", "graphicsmagick")),
    "imagemagick": Contender(python("bench.peers.magick", "imagemagick")),
    "imagemagick everyday": Contender(python("bench.peers.magick", "everyday")),
}


def distributed(url: str) -> dict[str, Contender]:
    """Return the clients of all that work through a broker, and the local engine beside them."""
    broker = ("--broker", url)
    paper = python("bench.baseline.client", url)
    return {
        "imgbatch": Contender((*CLIENT, *broker)),
        "imgbatch --no-html": Contender((*CLIENT, "--no-html", *broker)),
        "imgbatch local": LOCAL["imgbatch"],
        "imgbatch local --no-html": LOCAL["imgbatch --no-html"],
        "bare pika": Contender(python("bench.peers.bare_pika", url)),
        "celery": Contender(python("bench.peers.celery_client", url)),
        "paper": Contender(paper, LARGEST_FILE_BYTES),
        "paper, wide receive": Contender((*paper, "wide"), LARGEST_FILE_BYTES),
    }


@contextmanager
def servers_for(name: str, url: str, procs: int) -> Iterator[None]:
    """Keep the one server that a distributed contender works with, on all cores, ready."""
    with ExitStack() as stack:
        if name == "imgbatch":
            stack.enter_context(fleet("imgbatch", url, machines=1, procs=procs))
        elif name == "bare pika":
            echo = python("bench.peers.bare_pika", url)
            stack.enter_context(background(echo, "ready"))
        elif name == "celery":
            words = ("-A", "bench.peers.celery_app", "worker", "--loglevel", "WARNING")
            worker = python("celery", *words, "--concurrency", str(procs))
            address = {"IMGBATCH_BENCH_BROKER": url}
            stack.enter_context(background(worker, "tasks may come", address))
        elif name.startswith("paper"):
            wide = ["wide"] if name.endswith("wide receive") else []
            server = python("bench.baseline.server", str(procs), url, *wide)
            stack.enter_context(background(server, "ready"))
        yield


@contextmanager
def fleet(
    system: str, url: str, *, machines: int, procs: int = 1, cores: float | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep servers of ``imgbatch`` or ``paper`` ready, each held to `cores` cores where given."""
    with ExitStack() as stack:
        servers = []
        for number in range(machines):
            prefix = stack.enter_context(held(cores)) if cores else []
            if system == "paper":
                command, ready = python("bench.baseline.server", str(procs), url), "ready"
            else:
                words = ("--broker", url, "--procs", str(procs), "--name", f"bench-{number}")
                command, ready = program("imgbatch-server", *words), ""
            servers.append(stack.enter_context(background([*prefix, *command], ready)))
        if system == "imgbatch":
            _await_machines(url, machines)
        yield servers


def _await_machines(url: str, machines: int) -> None:
    """Wait until so many servers announce themselves with their kernels warm."""
    command = program("imgbatch-status", "--broker", url, "--json")
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and len(json.loads(done.stdout)["machines"]) >= machines:
            return
        time.sleep(0.2)
    raise RuntimeError(f"no {machines} machines after {READY_SECONDS:.0f} s: {done.stderr}")
