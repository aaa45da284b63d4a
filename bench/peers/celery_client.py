"""The client of the Celery peer: ``python -m bench.peers.celery_client URL INPUT OUTPUT``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from celery.result import ResultSet


def main(url: str, folder: Path, output: Path) -> None:
    """Send every file of a folder, and write each result as it comes."""
    os.environ["IMGBATCH_BENCH_BROKER"] = url
    from bench.peers.celery_app import adjust

    output.mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    results = ResultSet([])
    for path in sorted(folder.iterdir()):
        result = adjust.apply_async((path.read_bytes(),))
        names[result.id] = path.name
        results.add(result)

    def write(task_id: str, data: bytes) -> None:
        (output / names[task_id]).write_bytes(data)

    results.get(callback=write, propagate=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
