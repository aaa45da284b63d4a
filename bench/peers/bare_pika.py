"""The same bytes through bare pika: sent to a queue, sent back by an echo, written to a file.

No protocol, no confirms, nothing done to the bytes; connections and receive buffer as in imgbatch.
The echo is one process with a connection for each direction, the least that a server can be.

``python -m bench.peers.bare_pika URL [INPUT OUTPUT]``; without folders it is the echo.
"""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path
from typing import Any

import pika

from bench.baseline.messages import connect

QUEUE = "imgbatch-bench-echo"
REPLIES = "imgbatch-bench-replies"
IN_FLIGHT = 16  # images; enough to keep every party busy


def echo(url: str) -> None:
    """Send back all that comes; returns never."""
    inward, outward = connect(url, "wide"), connect(url, "wide")
    for name in (QUEUE, REPLIES):
        inward.queue_declare(name, durable=True)
    inward.basic_qos(prefetch_count=3)

    def turn_round(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        outward.basic_publish("", REPLIES, body, properties)
        channel.basic_ack(method.delivery_tag)

    inward.basic_consume(QUEUE, turn_round)
    print("ready", flush=True)
    inward.start_consuming()


def client(url: str, folder: Path, output: Path) -> None:
    """Send every file of a folder and write what comes back."""
    files = sorted(folder.iterdir())
    room = threading.Semaphore(IN_FLIGHT)
    bodies: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()

    def send() -> None:
        channel = connect(url, "wide")
        for path in files:
            room.acquire()
            properties = pika.BasicProperties(message_id=path.name)
            channel.basic_publish("", QUEUE, path.read_bytes(), properties)
        channel.connection.process_data_events(time_limit=None)

    def receive() -> None:
        def take(_channel: Any, _method: Any, properties: Any, body: bytes) -> None:
            bodies.put((properties.message_id, body))
            room.release()

        channel = connect(url, "wide")
        channel.basic_consume(REPLIES, take, auto_ack=True)
        channel.start_consuming()

    output.mkdir(parents=True, exist_ok=True)
    for target in (send, receive):
        threading.Thread(target=target, daemon=True).start()
    for _ in files:
        name, body = bodies.get()
        (output / name).write_bytes(body)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        echo(sys.argv[1])
    client(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
