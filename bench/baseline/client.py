"""The paper's client: a reader, a consumer, writers."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
import uuid
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from bench.baseline.messages import (
    RESULT_EXCHANGE,
    WORK_QUEUE,
    connect,
    declare,
    packed,
    unpacked,
)

LARGEST_FILE_BYTES = 5_000_000


def accepted(folder: Path) -> list[Path]:
    """Return the files that are not over 5 MB."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return [path for path in files if path.stat().st_size <= LARGEST_FILE_BYTES]


def read(arguments: argparse.Namespace, client: str, listening: Event) -> None:
    """Decode, pack and publish each image."""
    import cv2

    cv2.setNumThreads(1)
    channel = connect(arguments.broker, wide_receive=arguments.wide_receive).channel()
    declare(channel)
    listening.wait()
    factors = [arguments.brightness, arguments.contrast, arguments.sharpness]
    for path in accepted(arguments.input):
        fields = {"client": client, "name": path.name, "factors": factors}
        channel.basic_publish("", WORK_QUEUE, packed(fields, cv2.imread(str(path))))
    channel.connection.close()


def consume(
    arguments: argparse.Namespace, client: str, listening: Event, results: Queue[bytes]
) -> None:
    """Hand each result that carries our name to a writer; returns never."""
    channel = connect(arguments.broker, wide_receive=arguments.wide_receive).channel()
    declare(channel)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, RESULT_EXCHANGE, client)
    channel.basic_qos(prefetch_count=os.cpu_count() or 1)
    listening.set()

    def take(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        results.put(body)
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, take)
    channel.start_consuming()


def write(arguments: argparse.Namespace, results: Queue[bytes], written: Queue[str]) -> None:
    """Unpack, encode and write each result; returns never."""
    import cv2

    cv2.setNumThreads(1)
    options = [cv2.IMWRITE_JPEG_QUALITY, arguments.quality]
    while True:
        fields, image = unpacked(results.get())
        cv2.imwrite(str(arguments.output / fields["name"]), image, options)
        written.put(fields["machine"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.baseline.client")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--broker", required=True)
    for factor in ("brightness", "contrast", "sharpness"):
        parser.add_argument(f"--{factor}", type=int, default=0)
    parser.add_argument("--quality", type=int, default=95)
    parser.add_argument("--wide-receive", action="store_true")
    run(parser.parse_args())


def run(arguments: argparse.Namespace) -> None:
    """Start the reader, the consumer and the writers, and wait until every image is written."""
    begun = time.monotonic()
    arguments.output.mkdir(parents=True, exist_ok=True)
    client, listening = str(uuid.uuid4()), multiprocessing.Event()
    cores = os.cpu_count() or 1
    results: Queue[bytes] = multiprocessing.Queue(cores)
    written: Queue[str] = multiprocessing.Queue()
    roles: list[tuple[Any, tuple[Any, ...]]] = [
        (consume, (arguments, client, listening, results)),
        (read, (arguments, client, listening)),
        *[(write, (arguments, results, written))] * cores,
    ]
    children = [
        multiprocessing.Process(target=target, args=args, daemon=True) for target, args in roles
    ]
    for child in children:
        child.start()
    machines = [written.get() for _ in accepted(arguments.input)]
    report = {
        "input": str(arguments.input),
        "output": str(arguments.output),
        "images": len(machines),
        "machines": len(set(machines)),
        "seconds": time.monotonic() - begun,
    }
    arguments.output.with_suffix(".report.json").write_text(json.dumps(report, indent=1))
    for child in children:
        child.terminate()


if __name__ == "__main__":
    main()
