"""The command line that all the scripts have in common, and their pool."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.baseline.operation import Coefficients


@dataclass(frozen=True, slots=True)
class Task:
    """What every process of a pool is told."""

    output: Path
    brightness: int
    contrast: int
    sharpness: int
    quality: int

    @property
    def coefficients(self) -> Coefficients:
        """The slope, offset and kernel weight of the three factors."""
        return Coefficients.of(self.brightness, self.contrast, self.sharpness)


def parser(name: str) -> argparse.ArgumentParser:
    """Return a parser with a folder to read, one to write, the factors and the quality."""
    made = argparse.ArgumentParser(prog=f"python -m bench.{name}")
    made.add_argument("input", type=Path)
    made.add_argument("output", type=Path)
    for factor in ("brightness", "contrast", "sharpness"):
        made.add_argument(f"--{factor}", type=int, default=0)
    made.add_argument("--quality", type=int, default=95)
    return made


def task_of(arguments: argparse.Namespace) -> Task:
    """Return what the parsed words ask for."""
    return Task(
        arguments.output,
        arguments.brightness,
        arguments.contrast,
        arguments.sharpness,
        arguments.quality,
    )


def run_pool(
    name: str,
    convert: Callable[[Task, Path], None],
    prepare: Callable[[], None] | None = None,
) -> None:
    """Convert every file of the input folder in a pool with a process for each core."""
    arguments = parser(name).parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in arguments.input.iterdir() if path.is_file())
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.Pool(cores, prepare) as pool:
        for _ in pool.imap_unordered(partial(convert, task_of(arguments)), files):
            pass
