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
from bench.datasets.build import sizes_bytes
from bench.harness.processes import READY_SECONDS, Run, background, measure, program, python
from bench.harness.quotas import held


@dataclass(frozen=True, slots=True)
class Contender:
    """A command that turns a folder of images, up to some size, into another."""

    words: tuple[str, ...]
    largest_bytes: float = float("inf")

    def images(self, folder: Path) -> int:
        return sum(size <= self.largest_bytes for size in sizes_bytes(folder))

    def command(self, folder: Path, output: Path) -> list[str]:
        return [*self.words, str(folder), str(output)]

    def run(self, folder: Path, output: Path) -> Run:
        return measure(self.command(folder, output), output, self.images(folder))


OPTIONS = {"progress": "none", "quality": QUALITY, **FACTORS}
SERVED = ("imgbatch", "bare pika", "celery", "paper", "paper, wide receive")
"""Of those through a broker, the ones that need a server of their own."""
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
        "celery": Contender(python("bench.peers.celery_peer", url)),
        "paper": Contender(paper, LARGEST_FILE_BYTES),
        "paper, wide receive": Contender((*paper, "wide"), LARGEST_FILE_BYTES),
    }


def _server(
    system: str, url: str, procs: int, name: str, allow: Path | None
) -> tuple[tuple[str, ...], str]:
    """Return the command of a server, and what it prints when it is ready."""
    if system == "bare pika":
        return python("bench.peers.bare_pika", url), "ready"
    if system == "celery":
        app = ("-A", "bench.peers.celery_peer", "--broker", url)
        words = ("worker", "--loglevel", "WARNING", "--concurrency", str(procs))
        return python("celery", *app, *words), "tasks may come"
    if system.startswith("paper"):
        wide = ["wide"] if system.endswith("wide receive") else []
        return python("bench.baseline.server", str(procs), url, *wide), "ready"
    words = ["--broker", url, "--procs", str(procs), "--name", name]
    words += [] if allow is None else ["--allow", str(allow)]
    return program("imgbatch-server", *words), ""


@contextmanager
def fleet(
    system: str,
    url: str,
    *,
    machines: int = 1,
    procs: int = 1,
    cores: float | None = None,
    allow: Path | None = None,
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep servers of a system ready, each held to `cores` cores where given.

    Ours read and write themselves what lies in `allow`.
    """
    with ExitStack() as stack:
        servers = []
        for number in range(machines):
            prefix = stack.enter_context(held(cores)) if cores else []
            command, ready = _server(system, url, procs, f"bench-{number}", allow)
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
