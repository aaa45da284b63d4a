"""Celery with RabbitMQ: a task that takes an image's encoded bytes and calls `imgbatch.process`.

Set as its manual advises for large, unequal tasks: bytes travel as they are (msgpack), one task
is fetched ahead for each process, results come back through the reply queue and are not stored.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready

from bench.baseline.operation import FACTORS, QUALITY

app = Celery("bench", broker=os.environ.get("IMGBATCH_BENCH_BROKER"), backend="rpc://")
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
    """Tell who started the worker that tasks may come."""
    print("tasks may come", flush=True)


@cache
def pipeline() -> Any:
    """Return this process's pipeline, whose buffers are kept from image to image."""
    from imgbatch.pipeline import Pipeline

    return Pipeline()


@app.task
def adjust(data: bytes) -> bytes:
    """Return the adjusted image."""
    from imgbatch.adjustment import Adjustment
    from imgbatch.recipe import Encoding, Recipe

    recipe = Recipe(Adjustment(**FACTORS), Encoding(quality=QUALITY))
    adjusted: bytes = pipeline().run(data, recipe).data
    return adjusted
