"""Everyone who takes part: how each is started, and on whom it waits."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.baseline.client import LARGEST_FILE_BYTES
from bench.harness.jobs import Folder, factor_words
from bench.harness.processes import Run, background, measure, program, python
from bench.harness.quotas import held

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that turns a folder of images into another.

    Parameters
    ----------
    name
        As results and tables know it.
    words
        The command, but for the folders and the options that all have in common.
    largest_bytes
        The largest file that it takes.
    missing
        Why it cannot run here; None if it can.
    """

    name: str
    words: tuple[str, ...]
    largest_bytes: int | None = None
    missing: Callable[[], str | None] = lambda: None

    def images(self, folder: Folder) -> int:
        """Return how many of a folder's images it takes."""
        if self.largest_bytes is None:
            return folder.images
        return folder.images_up_to(self.largest_bytes)

    def run(self, folder: Folder, output: Path) -> Run:
        """Run it once, as a whole process."""
        command = [*self.words, str(folder.path), str(output), *factor_words()]
        return measure(command, output, self.images(folder))


def _needs_program(name: str, package: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"{name} is not installed (Debian: {package})"


def _needs_module(name: str, how: str) -> Callable[[], str | None]:
    return lambda: None if importlib.util.find_spec(name) else f"{name} is not installed ({how})"


def _needs_vips() -> str | None:
    try:
        import pyvips  # noqa: F401
    except (ImportError, OSError) as error:
        return f"pyvips does not load ({type(error).__name__}; Debian: libvips42)"
    return None


_MAGICK = tuple(python("bench.peers.magick", "--program"))
_WITH_PAGE = tuple(program("imgbatch-client", "--progress", "none"))
_IMGBATCH = (*_WITH_PAGE, "--no-html")
"""Without the report's page, whose gallery of before and after no other contender makes either;
what it costs is a row of its own."""

LOCAL = {
    contender.name: contender
    for contender in (
        Contender("imgbatch", _IMGBATCH),
        Contender("imgbatch with page", _WITH_PAGE),
        Contender("codec floor", tuple(python("bench.floors.codec_pool"))),
        Contender("opencv pool", tuple(python("bench.peers.opencv_pool"))),
        Contender("pyvips", tuple(python("bench.peers.vips_pool")), missing=_needs_vips),
        Contender("pillow", tuple(python("bench.peers.pillow_pool"))),
        Contender(
            "graphicsmagick",
            (*_MAGICK, "graphicsmagick"),
            missing=_needs_program("gm", "graphicsmagick"),
        ),
        Contender(
            "imagemagick",
            (*_MAGICK, "imagemagick"),
            missing=_needs_program("mogrify", "imagemagick"),
        ),
        Contender(
            "imagemagick everyday",
            (*_MAGICK, "imagemagick-everyday"),
            missing=_needs_program("mogrify", "imagemagick"),
        ),
    )
}


def distributed(url: str) -> dict[str, Contender]:
    """Return the clients of everyone who works through a broker, ours first."""
    broker = ("--broker", url)
    paper = tuple(python("bench.baseline.client", *broker))
    contenders = (
        Contender("imgbatch", (*_IMGBATCH, *broker)),
        Contender("imgbatch local", _IMGBATCH),
        Contender("bare pika", tuple(python("bench.floors.bare_pika", *broker))),
        Contender(
            "celery",
            tuple(python("bench.peers.celery_client", *broker)),
            missing=_needs_module("celery", "pip install imgbatch[bench]"),
        ),
        Contender("paper", paper, LARGEST_FILE_BYTES),
        Contender("paper, wide receive", (*paper, "--wide-receive"), LARGEST_FILE_BYTES),
    )
    return {contender.name: contender for contender in contenders}


@contextmanager
def servers_for(name: str, url: str, procs: int) -> Iterator[None]:
    """Keep the one server that a distributed contender works with, on all cores, ready."""
    broker = ("--broker", url)
    with ExitStack() as stack:
        if name == "bare pika":
            echo = python("bench.floors.bare_pika", "--echo", url)
            stack.enter_context(background(echo, "ready"))
        elif name == "celery":
            words = ("-A", "bench.peers.celery_app", "worker", "--loglevel", "WARNING")
            worker = python("celery", *words, "--concurrency", str(procs))
            address = {"IMGBATCH_BENCH_BROKER": url}
            stack.enter_context(background(worker, "tasks may come", address))
        elif name.startswith("paper"):
            wide = ["--wide-receive"] if name.endswith("wide receive") else []
            server = python("bench.baseline.server", *broker, "--procs", str(procs), *wide)
            stack.enter_context(background(server, "ready"))
        elif name == "imgbatch":
            stack.enter_context(fleet("imgbatch", url, machines=1, procs=procs))
        yield


@contextmanager
def fleet(
    system: str, url: str, *, machines: int, procs: int = 1, cores: float | None = None
) -> Iterator[list[subprocess.Popen[str]]]:
    """Keep a number of servers ready, each held to `cores` cores where given.

    Parameters
    ----------
    system
        ``imgbatch`` or ``paper``.
    """
    with ExitStack() as stack:
        servers = []
        for number in range(machines):
            prefix = stack.enter_context(held(cores)) if cores else []
            ready, words = _server(system, url, number, procs)
            servers.append(stack.enter_context(background([*prefix, *words], ready)))
        if system == "imgbatch":
            _await_machines(url, machines)
        yield servers


def _server(system: str, url: str, number: int, procs: int) -> tuple[str | None, list[str]]:
    words = ["--broker", url, "--procs", str(procs)]
    if system == "paper":
        return "ready", python("bench.baseline.server", *words)
    return None, program("imgbatch-server", *words, "--name", f"bench-{number}")


def _await_machines(url: str, machines: int) -> None:
    """Wait until so many servers announce themselves with their kernels warm.

    Raises
    ------
    RuntimeError
        If they do not within two minutes.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        told = subprocess.run(
            program("imgbatch-status", "--broker", url, "--json"),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )
        if told.returncode == 0 and len(json.loads(told.stdout)["machines"]) >= machines:
            return
        time.sleep(0.2)
    raise RuntimeError(f"no {machines} machines after {START_SECONDS:.0f} s: {told.stderr}")
