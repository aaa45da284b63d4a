"""The paper's client: a reader, a consumer, writers.

``python -m bench.baseline.client URL [wide] INPUT OUTPUT``
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import uuid
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import cv2

from bench.baseline import messages
from bench.baseline.operation import FACTORS, QUALITY

LARGEST_FILE_BYTES = 5_000_000


def accepted(folder: Path) -> list[Path]:
    """Return the files that are not over 5 MB."""
    return [path for path in sorted(folder.iterdir()) if path.stat().st_size <= LARGEST_FILE_BYTES]


def read(broker: list[str], folder: Path, client: str, listening: Event) -> None:
    """Decode, pack and publish each image."""
    cv2.setNumThreads(1)
    channel = messages.open_channel(*broker)
    listening.wait()
    for path in accepted(folder):
        fields = {"client": client, "name": path.name, "factors": list(FACTORS.values())}
        channel.basic_publish(
            "", messages.WORK_QUEUE, messages.packed(fields, cv2.imread(str(path)))
        )
    channel.connection.close()


def consume(broker: list[str], client: str, listening: Event, results: Queue[bytes]) -> None:
    """Hand each result that carries our name to a writer; returns never."""
    channel = messages.open_channel(*broker)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, messages.RESULT_EXCHANGE, client)
    channel.basic_qos(prefetch_count=os.cpu_count() or 1)
    listening.set()

    def take(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        results.put(body)
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, take)
    channel.start_consuming()


def write(output: Path, results: Queue[bytes], written: Queue[str]) -> None:
    """Unpack, encode and write each result; returns never."""
    cv2.setNumThreads(1)
    while True:
        fields, image = messages.unpacked(results.get())
        cv2.imwrite(str(output / fields["name"]), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        written.put(fields["machine"])


def main(broker: list[str], folder: Path, output: Path) -> None:
    """Start the reader, the consumer and the writers, and wait until every image is written."""
    output.mkdir(parents=True, exist_ok=True)
    client, listening = str(uuid.uuid4()), multiprocessing.Event()
    cores = os.cpu_count() or 1
    results: Queue[bytes] = multiprocessing.Queue(cores)
    written: Queue[str] = multiprocessing.Queue()
    children = messages.started(
        (consume, (broker, client, listening, results)),
        (read, (broker, folder, client, listening)),
        *[(write, (output, results, written))] * cores,
    )
    machines = [written.get() for _ in accepted(folder)]
    report = {"input": str(folder), "images": len(machines), "machines": len(set(machines))}
    output.with_suffix(".report.json").write_text(json.dumps(report))
    for child in children:
        child.terminate()


if __name__ == "__main__":
    main(sys.argv[1:-2], Path(sys.argv[-2]), Path(sys.argv[-1]))
