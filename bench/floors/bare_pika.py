"""The same bytes through bare pika: sent to a queue, sent back by an echo, written to a file.

No protocol, no confirms, nothing done to the bytes; connections and receive buffer as in imgbatch.
`echo` is one process with a connection for each direction, the least that a server can be.
"""

from __future__ import annotations

import argparse
import queue
import threading
from pathlib import Path
from typing import Any

from bench.baseline.messages import connect
from bench.peers.arguments import parser

QUEUE = "imgbatch-bench-echo"
REPLIES = "imgbatch-bench-replies"
IN_FLIGHT = 16  # images; enough to keep every party busy


def echo(url: str) -> None:
    """Send back whatever comes; returns never."""
    inward = connect(url, wide_receive=True).channel()
    outward = connect(url, wide_receive=True).channel()
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
    output.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.iterdir())
    room = threading.Semaphore(IN_FLIGHT)
    bodies: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    for target in (_send, _receive):
        arguments = (url, files, room) if target is _send else (url, room, bodies)
        threading.Thread(target=target, args=arguments, daemon=True).start()
    for _ in files:
        name, body = bodies.get()
        (output / name).write_bytes(body)


def _send(url: str, files: list[Path], room: threading.Semaphore) -> None:
    import pika

    channel = connect(url, wide_receive=True).channel()
    for path in files:
        room.acquire()
        properties = pika.BasicProperties(message_id=path.name)
        channel.basic_publish("", QUEUE, path.read_bytes(), properties)
    channel.connection.process_data_events(time_limit=None)


def _receive(
    url: str, room: threading.Semaphore, bodies: queue.SimpleQueue[tuple[str, bytes]]
) -> None:
    channel = connect(url, wide_receive=True).channel()

    def take(_channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        bodies.put((properties.message_id, body))
        room.release()

    channel.basic_consume(REPLIES, take, auto_ack=True)
    channel.start_consuming()


def main() -> None:
    roles = argparse.ArgumentParser(prog="python -m bench.floors.bare_pika")
    roles.add_argument("--echo", metavar="URL")
    arguments, rest = roles.parse_known_args()
    if arguments.echo:
        echo(arguments.echo)
        return
    words = parser("floors.bare_pika")
    words.add_argument("--broker", required=True)
    told = words.parse_args(rest)
    client(told.broker, told.input, told.output)


if __name__ == "__main__":
    main()
