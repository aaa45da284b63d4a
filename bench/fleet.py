"""Hundreds of machines on one broker: what they cost each client, and how soon a batch starts.

``python -m bench.fleet [--servers 300] [--clients 20] [--seconds 30] [--broker URL]``

The clients are real programs, each watching a folder in which nothing happens: what they use of a
core is what machines' statuses, leases and other clients' news cost them. The servers are real
supervisors, many to a process, whose workers are simulated: they send each image back as it came,
or say of one that they were to read and write themselves that it is written.
Without ``--broker``, RabbitMQ is a private node.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from selectors import DefaultSelector
from typing import Any

from bench.harness.resources import cpu_seconds

SERVERS_TO_A_PROCESS = 75
PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "rocket.jpg"
BATCH_IMAGES = 10
BATCHES = 5
DIGEST = "simulated"


# --- Servers, in processes of their own -----------------------------------------------------------


class SimulatedWorkers:
    """The workers of all servers of a process: one connection that answers every ticket."""

    def __init__(self, url: str) -> None:
        import pika

        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channels: dict[str, Any] = {}
        self._machines: dict[str, list[str]] = {}
        self._secrets: dict[str, bytes] = {}
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._connection.process_data_events(None)

    def serve(self, machine: str, batch: str, secret: bytes) -> None:
        """Take tickets of a batch in a machine's name; from any thread."""
        self._secrets[batch] = secret
        self._connection.add_callback_threadsafe(partial(self._serve, machine, batch))

    def leave(self, machine: str, batch: str) -> None:
        """Take no more of them."""
        self._connection.add_callback_threadsafe(partial(self._leave, machine, batch))

    def _serve(self, machine: str, batch: str) -> None:
        from pika.exceptions import AMQPChannelError

        from imgbatch.broker.topology import Topology

        # One consumer for all machines of this process: thousands of channels, which real machines
        # open all at the same time, would take one connection a minute.
        machines = self._machines.setdefault(batch, [])
        machines.append(machine)
        if len(machines) == 1:
            channel = self._connection.channel()
            channel.basic_qos(prefetch_count=3)
            queue = Topology().work_queue(self._secrets[batch])
            try:
                channel.basic_consume(queue, partial(self._answer, machines))
            except AMQPChannelError:  # the batch is over already
                return
            self._channels[batch] = channel

    def _leave(self, machine: str, batch: str) -> None:
        machines = self._machines.get(batch, [])
        if machine in machines:
            machines.remove(machine)
        channel = None if machines else self._channels.pop(batch, None)
        if channel is not None and channel.is_open:
            channel.close()

    def _answer(
        self, machines: list[str], channel: Any, method: Any, _properties: Any, body: bytes
    ) -> None:
        from imgbatch.broker.topology import Topology
        from imgbatch.protocol.codec import decode, encode
        from imgbatch.protocol.frames import Result, ResultKind, Ticket

        for received in decode(body, self._secrets):
            ticket = received.frame
            assert isinstance(ticket, Ticket)
            kind = ResultKind.WRITTEN if ticket.reference else ResultKind.DONE
            size = len(received.payload) or 1_000
            shape = (640, 427, size)
            ids = ticket.batch, ticket.job, 1
            result = Result(*ids, kind, "", "", random.choice(machines), *shape, 0.01, ())
            answer = encode(result, received.payload, self._secrets)
            topic = Topology().topic(self._secrets[ticket.batch])
            channel.basic_publish(Topology().to_clients, topic, answer)
        channel.basic_ack(method.delivery_tag)


class SimulatedPool:
    """What a supervisor needs of its pool: one worker, which is always ready."""

    workers_of_process: SimulatedWorkers
    crashes = images = busy = 0
    busy_seconds = 0.0
    ready = 1

    def __init__(
        self, _server: object, _target: str, arguments: tuple[Any, str], **_more: Any
    ) -> None:
        self._machine = arguments[1]
        self.selector = DefaultSelector()
        self.workers = [self]

    def send(self, command: Any) -> None:
        """Do what a worker is told."""
        from imgbatch.server.messages import Leave, Serve

        if isinstance(command, Serve):
            self.workers_of_process.serve(self._machine, command.batch, command.secret)
        elif isinstance(command, Leave):
            self.workers_of_process.leave(self._machine, command.batch)

    def listen(self, timeout_seconds: float) -> Iterator[Any]:
        """Wait; a simulated worker says nothing."""
        self.selector.select(timeout_seconds)
        return iter(())

    def fill(self, _count: int) -> list[Any]:
        return []

    def look_after(self) -> None: ...

    def dismiss(self, _worker: object) -> None:
        self.workers = []

    def close(self) -> None: ...


def run_servers(url: str, first: int, count: int) -> None:
    """Be that many servers until standard input ends."""
    from imgbatch.server import supervisor as module
    from imgbatch.server.messages import ServerSettings
    from imgbatch.server.self_test import SelfTest

    SimulatedPool.workers_of_process = SimulatedWorkers(url)
    module.WorkerPool = SimulatedPool  # type: ignore[misc, assignment]
    module.ForkServer = lambda _preload: None  # type: ignore[misc, assignment]
    for number in range(first, first + count):
        settings = ServerSettings(url, allow=(Path("/"),), procs=1, name=f"simulated-{number}")
        server = module.Supervisor(settings, SelfTest(DIGEST, {}, 0.0))
        threading.Thread(target=server.run, daemon=True).start()
        time.sleep(0.02)  # they are not all started in the same second, either
    sys.stdin.read()
    os._exit(0)


# --- The measurement ------------------------------------------------------------------------------


@contextmanager
def program(*words: object, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the block lasts."""
    process = subprocess.Popen([sys.executable, *map(str, words)], **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def client_words(*words: object) -> list[object]:
    code = "import sys; from imgbatch.cli.client import main; sys.exit(main())"
    return ["-c", code, *words, "--no-html", "--progress", "none"]


def machines_at(url: str) -> int:
    command = [
        sys.executable,
        "-m",
        "imgbatch.cli.status",
        "--broker",
        url,
        "--json",
        "--wait",
        "4",
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    return len(json.loads(done.stdout or b'{"machines": []}')["machines"])


def measure(url: str, servers: int, clients: int, seconds: float) -> dict[str, Any]:
    """Return the figures of a fleet on a broker."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imgbatch-fleet-")))
        for first in range(0, servers, SERVERS_TO_A_PROCESS):
            count = min(SERVERS_TO_A_PROCESS, servers - first)
            words = ("-m", "bench.fleet", "--be-servers", first, count, "--broker", url)
            stack.enter_context(program(*words, stdin=subprocess.PIPE))
        deadline = time.monotonic() + 120
        while (found := machines_at(url)) < servers and time.monotonic() < deadline:
            time.sleep(1)
        pids = []
        for number in range(clients):
            (source := folder / f"in-{number}").mkdir()
            words_of_client = client_words(
                source, folder / f"out-{number}", "--watch", "--broker", url
            )
            output = subprocess.DEVNULL
            process = stack.enter_context(program(*words_of_client, stdout=output, stderr=output))
            pids.append(process.pid)
        time.sleep(20)
        before = [cpu_seconds(pid) for pid in pids]
        time.sleep(seconds)
        shares = [
            (cpu_seconds(pid) - used) / seconds for pid, used in zip(pids, before, strict=True)
        ]
        return {
            "servers": found,
            "clients": clients,
            "share_of_a_core_median": round(statistics.median(shares), 4),
            "share_of_a_core_most": round(max(shares), 4),
            "batch_seconds": [started(url, folder, number) for number in range(BATCHES)],
        }


def started(url: str, folder: Path, number: int) -> dict[str, float]:
    """Run a batch of a few images; return when its first and last was done, after its beginning."""
    source, target = folder / f"batch-{number}", folder / f"batch-out-{number}"
    source.mkdir()
    for image in range(BATCH_IMAGES):
        shutil.copy(PHOTO, source / f"{image}.jpg")
    begun = time.monotonic()
    command = [sys.executable, *map(str, client_words(source, target, "--broker", url))]
    subprocess.run(command, check=True, timeout=120, stderr=subprocess.DEVNULL)
    whole = time.monotonic() - begun
    report = json.loads((target / "imgbatch-report.json").read_text())
    done = [file["finished_seconds"] for file in report["files"]]
    return {"first": min(done), "last": max(done), "with_program": round(whole, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=300)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--broker")
    parser.add_argument("--be-servers", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be_servers:
        run_servers(given.broker, *given.be_servers)
        return
    from tests.support.rabbitmq import private_node

    with ExitStack() as stack:
        url = given.broker or stack.enter_context(private_node()).url
        print(json.dumps(measure(url, given.servers, given.clients, given.seconds), indent=2))


if __name__ == "__main__":
    main()
