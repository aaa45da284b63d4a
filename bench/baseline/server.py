"""The paper's server: a consumer, one processor for each core, a publisher.

``python -m bench.baseline.server PROCS URL [wide]``
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing.queues import Queue
from typing import Any

import cv2

from bench.baseline import messages
from bench.baseline.operation import Coefficients, adjusted


def consume(broker: list[str], work: Queue[bytes]) -> None:
    """Hand each message to the next processor that is free; returns never."""
    channel = messages.open_channel(*broker)
    channel.basic_qos(prefetch_count=1)

    def take(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        work.put(body)  # blocks while the processors have enough
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(messages.WORK_QUEUE, take)
    print("ready", flush=True)
    channel.start_consuming()


def process(work: Queue[bytes], results: Queue[tuple[str, bytes]], machine: str) -> None:
    """Unpack, adjust and pack again; returns never."""
    cv2.setNumThreads(1)
    while True:
        results.put(processed(work.get(), machine))


def processed(body: bytes, machine: str) -> tuple[str, bytes]:
    """Return the client of one message and the message that it is sent."""
    fields, image = messages.unpacked(body)
    coefficients = Coefficients.of(*fields.pop("factors"))
    fields["machine"] = machine
    return fields.pop("client"), messages.packed(fields, adjusted(image, coefficients))


def publish(broker: list[str], results: Queue[tuple[str, bytes]]) -> None:
    """Send each result to its client; returns never."""
    channel = messages.open_channel(*broker)
    while True:
        client, body = results.get()
        channel.basic_publish(messages.RESULT_EXCHANGE, client, body)


def main(procs: int, broker: list[str]) -> None:
    machine = f"{socket.gethostname()}-{os.getpid()}"
    work: Queue[bytes] = multiprocessing.Queue(procs)
    results: Queue[tuple[str, bytes]] = multiprocessing.Queue(procs)
    children = messages.started(
        *[(process, (work, results, machine))] * procs,
        (publish, (broker, results)),
    )

    def end(*_signal: object) -> None:
        for child in children:
            child.terminate()
        os._exit(0)  # a queue's feeder may still hold an image that no client waits for

    signal.signal(signal.SIGTERM, end)
    consume(broker, work)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
