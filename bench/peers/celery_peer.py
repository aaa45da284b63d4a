"""Celery with RabbitMQ: a task that takes an image's encoded bytes and adjusts it by `imgbatch`.

Set as its manual advises for large, unequal tasks: bytes travel as they are (msgpack), one task
is fetched ahead for each process, results come back through the reply queue and are not stored.
The client is ``python -m bench.peers.celery_peer URL INPUT OUTPUT``.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

from celery import Celery
from celery.result import ResultSet
from celery.signals import worker_process_init, worker_ready

from bench.baseline.operation import FACTORS, QUALITY

app = Celery("bench", backend="rpc://")
app.conf.update(
    accept_content=["msgpack"],
    broker_heartbeat=0,
    result_persistent=False,
    result_serializer="msgpack",
    task_default_delivery_mode="transient",
    task_serializer="msgpack",
    worker_prefetch_multiplier=2,
    worker_proc_alive_timeout=60.0,
    worker_send_task_events=False,
)


@worker_process_init.connect
def prepare(**_signal: object) -> None:
    """Compile and load everything before the first task, as an imgbatch server does."""
    import cv2
    import numpy as np

    adjust(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())


@worker_ready.connect
def announce(**_signal: object) -> None:
    print("tasks may come", flush=True)


@cache
def pipeline() -> Any:
    """Return this process's pipeline, whose buffers are kept from image to image."""
    from imgbatch.pipeline import Pipeline

    return Pipeline()


@app.task(name="adjust")
def adjust(data: bytes) -> bytes:
    from imgbatch.adjustment import Adjustment
    from imgbatch.recipe import Encoding, Recipe

    recipe = Recipe(Adjustment(**FACTORS), Encoding(quality=QUALITY))
    adjusted: bytes = pipeline().run(data, recipe).data
    return adjusted


def main(url: str, folder: Path, output: Path) -> None:
    """Send every file of a folder, and write each result as it comes."""
    app.conf.broker_url = url
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
