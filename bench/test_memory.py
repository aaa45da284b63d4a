"""What a worker holds on large photographs, and the client on very many files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.contenders import LOCAL, Contender, distributed, fleet
from bench.harness.jobs import Folder, factor_words
from bench.harness.processes import ROOT, environment
from bench.harness.resources import Peaks, watched
from bench.harness.session import Pace, Session

MANY_FILES = 100_000
FEWER_FILES = 2_000
NAMES_OF_A_FILE = 30_000  # ext4 allows 65,000


def many_files(bench: Session) -> Folder:
    """Return a folder with very many names of one tiny file."""
    folder, count = (
        bench.sets.workspace / "many",
        MANY_FILES if bench.pace is Pace.WHOLE else FEWER_FILES,
    )
    source = tiny_jpeg(bench.sets.workspace / "tiny.jpg")
    if not folder.is_dir():
        folder.mkdir()
        for number in range(count):
            if number % NAMES_OF_A_FILE == NAMES_OF_A_FILE - 1:
                source = Path(shutil.copy(source, bench.sets.workspace / f"tiny-{number}.jpg"))
            os.link(source, folder / f"{number:06d}.jpg")
    return Folder("many", folder, (source.stat().st_size,) * count)


def tiny_jpeg(path: Path) -> Path:
    """Write a grey square of 16 x 16 pixels."""
    import cv2
    import numpy as np

    cv2.imwrite(str(path), np.full((16, 16, 3), 90, np.uint8))
    return path


def peaks_of(contender: Contender, folder: Folder, output: Path) -> Peaks:
    """Run a client and return what it and its children held."""
    shutil.rmtree(output, ignore_errors=True)
    command = [*contender.words, str(folder.path), str(output), *factor_words()]
    client = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with watched(client.pid) as peaks:
        _, problems = client.communicate()
    if client.returncode != 0:
        raise RuntimeError(problems.decode(errors="replace")[-2000:])
    return peaks


def test_a_worker_on_large_photographs(bench: Session, benchmark: Any) -> None:
    benchmark.group = "memory"
    folder = bench.sets.folder("tokyo")
    peaks = benchmark.pedantic(peaks_of, (LOCAL["imgbatch"], folder, bench.output()), rounds=1)
    bench.measure("memory/worker", peaks.child_bytes, "B")
    bench.measure("memory/client, tokyo", peaks.parent_bytes, "B")


@pytest.mark.parametrize("engine", ["local", "rabbitmq"])
def test_a_client_with_very_many_files(bench: Session, benchmark: Any, engine: str) -> None:
    benchmark.group = "memory"
    folder = many_files(bench)
    if engine == "local":
        client = LOCAL["imgbatch"]
        peaks = benchmark.pedantic(peaks_of, (client, folder, bench.output()), rounds=1)
    else:
        url = bench.node().url
        client = distributed(url)["imgbatch"]
        with fleet("imgbatch", url, machines=1, procs=bench.cores):
            peaks = benchmark.pedantic(peaks_of, (client, folder, bench.output()), rounds=1)
    bench.measure(f"memory/client, {folder.images:,} files, {engine}", peaks.parent_bytes, "B")
    bench.measure("memory/many files", folder.images, "files")
