"""One session of measuring: its sets, its broker, its races, and what it found."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from tests.support.rabbitmq import Node, private_node

from bench.contenders import LOCAL, OURS, SERVED, Contender, distributed, fleet
from bench.datasets.build import folder_of
from bench.harness import quotas
from bench.harness.processes import IN_MEMORY, scratch
from bench.harness.ratios import in_turn
from bench.harness.results import Race, Results


class Pace(StrEnum):
    """How thorough a session is."""

    WHOLE = "whole"
    BRIEF = "brief"  # whole sets, three rounds, without those that take a minute each
    QUICK = "quick"  # a tenth of each set, two rounds: to see that everything works


MOST_ROUNDS = {Pace.WHOLE: 100, Pace.BRIEF: 3, Pace.QUICK: 2}
QUICK_EVERY = 10
SLOW_ROUNDS = 3
"""Contenders that are given no more rounds than this are the slow ones."""
TOO_SLOW = "too slow for a brief session"
PACKAGES = (
    *("imgbatch", "numba", "numpy", "opencv-python-headless", "simplejpeg", "isal", "deflate"),
    *("pika", "msgspec", "blake3", "celery", "kombu", "amqp", "pillow", "pyvips"),
)
DEBIAN = ("rabbitmq-server", "libvips42", "imagemagick", "graphicsmagick")


POOLS = (*OURS[:2], "opencv pool")
LIBRARIES = (*POOLS, "pyvips", "pillow")
SLOW = dict.fromkeys(("graphicsmagick", "imagemagick", "imagemagick everyday"), 3)
LOCAL_ROUNDS: dict[str, Mapping[str, int]] = {
    "tokyo": {**dict.fromkeys((*LIBRARIES, "codec floor"), 7), **SLOW},
    "crops": dict.fromkeys((*LIBRARIES, "codec floor"), 7),
    "crops-x10": dict.fromkeys(POOLS, 5),
    "tokyo-png": dict.fromkeys(LIBRARIES, 5),
    "crops-png": dict.fromkeys(LIBRARIES, 5),
    "large": dict.fromkeys(POOLS, 7),
    "small": dict.fromkeys(POOLS, 7),
    "small-x10": dict.fromkeys(POOLS, 5),
    "large-png": dict.fromkeys(POOLS, 7),
}
PAPERS_SETS = ("tokyo", "crops")
ENGINES = dict.fromkeys(OURS, 7)
SYSTEMS = {**ENGINES, "bare pika": 7, "celery": 7, "paper": 3, "paper, wide receive": 3}
BROKER_ROUNDS: dict[str, Mapping[str, int]] = {
    "tokyo": SYSTEMS,
    "crops": SYSTEMS,
    "large": ENGINES,
    "small": ENGINES,
}


@dataclass(slots=True)
class Session:
    """What all suites share; sets come from `photos` where that is given."""

    workspace: Path
    output: Path
    results: Results
    pace: Pace
    photos: Path | None
    cores: int
    _stack: ExitStack
    _node: Node | None = None

    def rounds(self, whole: int) -> int:
        """Return how often something runs, of the rounds that a whole session gives it."""
        return min(whole, MOST_ROUNDS[self.pace])

    def folder(self, set_name: str) -> Path:
        """Return a set, or a part of it; of `photos`, what there is of the set's format."""
        if self.photos is not None:
            suffixes = (".png",) if "png" in set_name else (".jpg", ".jpeg")
            chosen = [path for path in self.photos.iterdir() if path.suffix.lower() in suffixes]
            return self._copied(set_name, chosen)
        folder = folder_of(set_name)
        files = sorted(folder.iterdir())
        if self.pace is not Pace.QUICK or len(files) <= QUICK_EVERY:
            return folder
        return self._copied(set_name, files[::QUICK_EVERY])

    def smallest(self, set_name: str) -> Path:
        """Return a folder of a set's smallest file, for a first run that loads all there is."""
        files = self.folder(set_name).iterdir()
        smallest = min(files, key=lambda path: path.stat().st_size)
        return self._copied(f"smallest-{set_name}", [smallest])

    def _copied(self, name: str, files: list[Path]) -> Path:
        folder = self.workspace / f"input-{name}"
        if not folder.is_dir():
            folder.mkdir()
            for file in files:
                shutil.copy(file, folder)
        return folder

    def node(self) -> Node:
        """Return the session's broker, with the memory that RabbitMQ takes by default."""
        if self._node is None:
            self._node = self._stack.enter_context(private_node())
            self._node.control("set_vm_memory_high_watermark", "0.4")
        return self._node

    def race_locally(self, set_name: str) -> None:
        """Race programs of this machine, each for its number of rounds, on a set."""
        self._race(f"local/{set_name}", Race({}), LOCAL, LOCAL_ROUNDS[set_name])

    def race_through_broker(self, set_name: str) -> None:
        """Race programs that share the session's broker, each with its own server waiting."""
        url, rounds, race = self.node().url, BROKER_ROUNDS[set_name], Race({})
        with ExitStack() as stack:
            for name in set(SERVED) & set(rounds):
                try:
                    stack.enter_context(fleet(name, url, procs=self.cores))
                except RuntimeError as error:
                    race.skipped[name] = _reason(error)
            self._race(f"broker/{set_name}", race, distributed(url), rounds)

    def _race(
        self, name: str, race: Race, known: Mapping[str, Contender], rounds: Mapping[str, int]
    ) -> None:
        set_name = name.partition("/")[2]
        folder, smallest = self.folder(set_name), self.smallest(set_name)
        runs: dict[str, Callable[[], float]] = {}
        if self.pace is Pace.BRIEF:
            race.skipped.update({who: TOO_SLOW for who in rounds if rounds[who] <= SLOW_ROUNDS})
        for who in (who for who in rounds if who not in race.skipped):
            contender = known[who]
            try:
                contender.run(smallest, self.output)
            except RuntimeError as error:
                race.skipped[who] = _reason(error)
                continue
            race.images[who] = contender.images(folder)
            runs[who] = lambda contender=contender: contender.run(folder, self.output).seconds
        race.seconds.update(in_turn(runs, {who: self.rounds(rounds[who]) for who in runs}))
        self.results.races[name] = race


def _reason(error: RuntimeError) -> str:
    """Return why something did not run, most likely because it is not installed, in one line."""
    return f"its first run failed: {' '.join(str(error).split())[-200:]}"


@contextmanager
def session(pace: Pace, photos: Path | None) -> Iterator[Session]:
    """Open a session and stop its broker at the end."""
    with scratch() as workspace, ExitStack() as stack:
        outputs_on = "memory" if workspace.is_relative_to(IN_MEMORY) else "disk"
        results = Results(
            machine={**machine(), "outputs_on": outputs_on},
            versions=versions(),
            taken=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
            pace=pace,
            photos="stand-ins" if photos is None else "a folder of photographs",
        )
        cores = len(os.sched_getaffinity(0))
        yield Session(workspace, workspace / "output", results, pace, photos, cores, stack)


def machine() -> dict[str, object]:
    """Return what a reader must know to judge the figures, and nothing that names the machine."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": models[0].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "machines_held_by": quotas.how(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of all that was measured, without those that are not installed."""
    found = {one.name: one.version for one in metadata.distributions() if one.name in PACKAGES}
    if shutil.which("dpkg-query"):
        command = ["dpkg-query", "--show", *DEBIAN]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found |= dict(re.findall(r"^(\S+?)(?::\S+)?\t(\S+)$", done.stdout, re.MULTILINE))
    return {"Python": platform.python_version(), **found}
