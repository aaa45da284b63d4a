"""The paper's server: a consumer, one processor for each core, a publisher."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing.queues import Queue
from typing import Any

from bench.baseline.messages import (
    RESULT_EXCHANGE,
    WORK_QUEUE,
    connect,
    declare,
    packed,
    unpacked,
)
from bench.baseline.operation import Coefficients, adjusted


def consume(arguments: argparse.Namespace, work: Queue[bytes]) -> None:
    """Hand each message to whichever processor is free; returns never."""
    channel = connect(arguments.broker, wide_receive=arguments.wide_receive).channel()
    declare(channel)
    channel.basic_qos(prefetch_count=1)

    def take(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        work.put(body)  # blocks while the processors have enough
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(WORK_QUEUE, take)
    print("ready", flush=True)
    channel.start_consuming()


def process(work: Queue[bytes], results: Queue[tuple[str, bytes]], machine: str) -> None:
    """Unpack, adjust and pack again; returns never."""
    import cv2

    cv2.setNumThreads(1)
    while True:
        fields, image = unpacked(work.get())
        coefficients = Coefficients.of(*fields.pop("factors"))
        fields["machine"] = machine
        results.put((fields.pop("client"), packed(fields, adjusted(image, coefficients))))


def publish(arguments: argparse.Namespace, results: Queue[tuple[str, bytes]]) -> None:
    """Send each result to its client; returns never."""
    channel = connect(arguments.broker, wide_receive=arguments.wide_receive).channel()
    declare(channel)
    while True:
        client, body = results.get()
        channel.basic_publish(RESULT_EXCHANGE, client, body)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.baseline.server")
    parser.add_argument("--broker", required=True)
    parser.add_argument("--procs", type=int, default=os.cpu_count())
    parser.add_argument("--wide-receive", action="store_true")
    arguments = parser.parse_args()
    machine = f"{socket.gethostname()}-{os.getpid()}"
    work: Queue[bytes] = multiprocessing.Queue(arguments.procs)
    results: Queue[tuple[str, bytes]] = multiprocessing.Queue(arguments.procs)
    children = [
        multiprocessing.Process(target=process, args=(work, results, machine), daemon=True)
        for _ in range(arguments.procs)
    ]
    children.append(multiprocessing.Process(target=publish, args=(arguments, results), daemon=True))
    for child in children:
        child.start()
    signal.signal(signal.SIGTERM, lambda *_: _end(children))
    consume(arguments, work)


def _end(children: list[multiprocessing.Process]) -> None:
    for child in children:
        child.terminate()
    sys.stdout.flush()
    os._exit(0)  # a queue's feeder may still hold an image that nobody waits for


if __name__ == "__main__":
    main()
