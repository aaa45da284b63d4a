"""Celery with RabbitMQ: a task that takes an image's encoded bytes and calls `imgbatch.process`.

Set as its manual advises for large, unequal tasks: bytes travel as they are (msgpack), one task
is fetched ahead for each process, results come back through the reply queue and are not stored.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from celery import Celery
from celery.signals import worker_process_init, worker_ready

if TYPE_CHECKING:
    from imgbatch.pipeline import Pipeline

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
    from imgbatch.fingerprint import warm_up

    warm_up()


@worker_ready.connect
def announce(**_signal: object) -> None:
    """Tell whoever started the worker that tasks may come."""
    print("tasks may come", flush=True)


@cache
def pipeline() -> Pipeline:
    """Return this process's pipeline, whose buffers are kept from image to image."""
    from imgbatch.pipeline import Pipeline

    return Pipeline()


@app.task
def adjust(data: bytes, brightness: int, contrast: int, sharpness: int, quality: int) -> bytes:
    """Return the adjusted image."""
    from imgbatch.adjustment import Adjustment
    from imgbatch.recipe import Encoding, Recipe

    recipe = Recipe(Adjustment(brightness, contrast, sharpness), Encoding(quality=quality))
    return pipeline().run(data, recipe).data
