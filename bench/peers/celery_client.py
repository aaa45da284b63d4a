"""The client of the Celery peer: sends every file, writes each result as it comes."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from bench.peers.arguments import Task, parser, task_of


def main() -> None:
    words = parser("peers.celery_client")
    words.add_argument("--broker", required=True)
    arguments = words.parse_args()
    os.environ["IMGBATCH_BENCH_BROKER"] = arguments.broker
    arguments.output.mkdir(parents=True, exist_ok=True)
    run(sorted(path for path in arguments.input.iterdir()), task_of(arguments))


def run(files: list[Path], task: Task) -> None:
    """Send all files and write each result at once, in whatever order they end."""
    from celery.result import ResultSet

    from bench.peers.celery_app import adjust

    factors = (task.brightness, task.contrast, task.sharpness, task.quality)
    names: dict[str, Path] = {}
    results = ResultSet([])
    for path in files:
        result = adjust.apply_async((path.read_bytes(), *factors))
        names[result.id] = task.output / path.name
        results.add(result)
    results.get(callback=partial(_write, names), propagate=True)


def _write(names: dict[str, Path], task_id: str, data: bytes) -> None:
    names[task_id].write_bytes(data)


if __name__ == "__main__":
    main()
