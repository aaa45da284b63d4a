"""The races and measures of a session, by name; `bench.run` runs them one after the other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.baseline import messages
from bench.baseline.operation import FACTORS
from bench.contenders import LOCAL, distributed, fleet
from bench.datasets.build import sizes_bytes
from bench.harness.processes import measure, program, python
from bench.harness.ratios import in_turn, timed
from bench.harness.resources import cpu_seconds, peaks_of
from bench.harness.results import Race
from bench.peers import steps, stub
from bench.session import BROKER_ROUNDS, LOCAL_ROUNDS, PAPERS_SETS, TOO_SLOW, Pace, Session

MACHINE_CORES = 0.4
SMALL_MACHINE_CORES = 0.15
FLEETS = (("imgbatch", 1), ("imgbatch", 2), ("imgbatch", 4), ("paper", 1), ("paper", 2))
CURVE = (1, 2, 4, 8)

MANY_FILES = 100_000
FEWER_FILES = 20_000
CROWDS = (2, 16, 64)
TYPICAL_BYTES = 2_930_000
CHUNK_BYTES = 1024 * 1024


def machines(session: Session, set_name: str) -> None:
    """Repeat the paper's tables: fleets of both systems, four runs each."""
    fleets = [one for one in FLEETS if one[0] == "imgbatch" or session.pace is not Pace.BRIEF]
    skipped = {f"{system} x{count}": TOO_SLOW for system, count in set(FLEETS) - set(fleets)}
    seconds = race_fleets(session, fleets, MACHINE_CORES, 4, set_name)
    session.results.races[f"machines/{set_name}"] = Race(seconds, skipped=skipped)


def curve(session: Session, set_name: str) -> None:
    """Race fleets of small machines; no ratio is asked of them, so a brief session does not."""
    if session.pace is not Pace.BRIEF:
        fleets = [("imgbatch", count) for count in CURVE]
        seconds = race_fleets(session, fleets, SMALL_MACHINE_CORES, 3, set_name)
        session.results.races[f"curve/{set_name}"] = Race(seconds)


def race_fleets(
    session: Session, fleets: list[tuple[str, int]], cores: float, rounds: int, set_name: str
) -> dict[str, list[float]]:
    """Return the seconds of runs on so many fresh machines; only the client's time counts."""
    url, folder, smallest = session.node().url, session.folder(set_name), session.smallest(set_name)

    def run(system: str, count: int) -> float:
        client = distributed(url)[system]
        with fleet(system, url, machines=count, cores=cores):
            client.run(smallest, session.output)
            return client.run(folder, session.output).seconds

    runs = {f"{system} x{count}": partial(run, system, count) for system, count in fleets}
    return in_turn(runs, session.rounds(rounds))


def costs(session: Session, set_name: str) -> None:
    """Measure the CPU time that broker, client and server spend on a set."""
    node, folder, smallest = session.node(), session.folder(set_name), session.smallest(set_name)
    spent: dict[str, tuple[float, ...]] = {}
    for system in ("imgbatch", "bare pika"):
        client = distributed(node.url)[system]
        with fleet(system, node.url, procs=session.cores) as (server,):
            client.run(smallest, session.output)
            before = cpu_seconds(node.pid()), cpu_seconds(server.pid)
            run = client.run(folder, session.output)
            after = cpu_seconds(node.pid()), cpu_seconds(server.pid)
        spent[system] = after[0] - before[0], after[1] - before[1], run.cpu_seconds
    sizes = sizes_bytes(folder)
    measured = dict(zip(("broker", "server", "client"), spent["imgbatch"], strict=True))
    measured |= {"broker, bare": spent["bare pika"][0], "images": len(sizes)}
    measured |= {"bytes": sum(sizes), "largest": max(sizes)}
    session.results.measures |= {f"costs/{set_name}/{name}": one for name, one in measured.items()}


def one_small_image(session: Session) -> None:
    """Race whole processes that have next to nothing to do, with warm caches."""
    smallest, output = session.smallest("crops"), session.output
    help_, python = program("imgbatch-client", "--help"), (sys.executable, "-c", "pass")
    runs: dict[str, Callable[[], float]] = {
        "imgbatch": lambda: LOCAL["imgbatch"].run(smallest, output).seconds,
        "imgbatch --no-html": lambda: LOCAL["imgbatch --no-html"].run(smallest, output).seconds,
        "opencv pool": lambda: LOCAL["opencv pool"].run(smallest, output).seconds,
        "imgbatch --help": lambda: measure(help_, output).seconds,
        "python alone": lambda: measure(python, output).seconds,
    }
    seconds = in_turn(runs, session.rounds(9), warm_up=1)
    session.results.races["start/one small image"] = Race(seconds)


def protocol(session: Session) -> None:
    """Race two ways of carrying one photograph, and count the bytes of each."""
    import cv2

    files = session.folder("tokyo").iterdir()
    path = min(files, key=lambda path: abs(path.stat().st_size - TYPICAL_BYTES))
    data, matrix = path.read_bytes(), cv2.imread(str(path))
    fields = {"client": "client", "name": path.name, "factors": list(FACTORS.values())}
    packed = messages.packed(fields, matrix)
    runs = {
        "imgbatch": lambda: timed(lambda: image_of(list(frames_of(data)))),
        "json, base64, pickle": lambda: timed(
            lambda: messages.unpacked(messages.packed(fields, matrix))
        ),
    }
    seconds = in_turn(runs, session.rounds(15), warm_up=2)
    session.results.races["protocol/photograph"] = Race(seconds)
    session.results.measures |= {
        "protocol/file": len(data),
        "protocol/imgbatch": sum(map(len, frames_of(data))),
        "protocol/json, base64, pickle": len(packed),
    }


def frames_of(data: bytes | bytearray) -> Iterator[bytes]:
    """Yield what travels for one image that is larger than a chunk: its ticket, its pieces."""
    from imgbatch.adjustment import Adjustment
    from imgbatch.protocol.codec import encode
    from imgbatch.protocol.frames import Chunk, Ticket
    from imgbatch.recipe import Recipe

    secrets = {"batch": bytes(32)}
    recipe = Recipe(Adjustment(**FACTORS)).to_fields()
    yield encode(Ticket("batch", 7, 0, len(data), 250_000_000, recipe, False), b"", secrets)
    for offset in range(0, len(data), CHUNK_BYTES):
        piece = memoryview(data)[offset : offset + CHUNK_BYTES]
        yield encode(Chunk("batch", 7, 1, offset, len(data)), piece, secrets)


def image_of(bodies: list[bytes]) -> bytearray:
    """Return the image that frames carry, checked and put together."""
    from imgbatch.protocol.codec import decode
    from imgbatch.protocol.frames import Chunk, Ticket

    secrets = {"batch": bytes(32)}
    ticket = decode(bodies[0], secrets)[0].frame
    assert isinstance(ticket, Ticket)
    image = bytearray(ticket.size_bytes)
    for body in bodies[1:]:
        (received,) = decode(body, secrets)
        assert isinstance(received.frame, Chunk)
        begin = received.frame.offset_bytes
        image[begin : begin + len(received.payload)] = received.payload
    return image


def worker_memory(session: Session) -> None:
    """Measure what a worker holds on large photographs."""
    command = LOCAL["imgbatch"].command(session.folder("tokyo"), session.output)
    client_bytes, worker_bytes = peaks_of(command, session.output)
    session.results.measures["memory/worker"] = worker_bytes
    session.results.measures["memory/client, tokyo"] = client_bytes


def client_memory(session: Session, engine: str) -> None:
    """Measure what the client holds on very many files."""
    folder = many_files(session)
    with ExitStack() as stack:
        contender = LOCAL["imgbatch"]
        if engine == "rabbitmq":
            url = session.node().url
            contender = distributed(url)["imgbatch"]
            stack.enter_context(fleet("imgbatch", url, procs=session.cores))
        peak_bytes, _ = peaks_of(contender.command(folder, session.output), session.output)
    images = len(sizes_bytes(folder))
    session.results.measures[f"memory/client, {images:,} files, {engine}"] = peak_bytes


def many_files(session: Session) -> Path:
    """Return a folder of very many grey squares of 16 x 16 pixels."""
    import cv2
    import numpy as np

    folder = session.workspace / "many"
    if not folder.is_dir():
        folder.mkdir()
        data = cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
        for number in range(MANY_FILES if session.pace is Pace.WHOLE else FEWER_FILES):
            (folder / f"{number:06d}.jpg").write_bytes(data)
    return folder


def many_cores(session: Session) -> None:
    """Measure how many images one client process hands out and records, to workers of no work."""
    folder, output = many_files(session), session.output
    for workers in CROWDS:
        measure(python("bench.peers.stub", str(workers), str(folder), str(output)), output)
        found = json.loads((output / stub.FOUND).read_text())
        prefix = f"many cores/{workers}/"
        session.results.measures |= {prefix + name: value for name, value in found.items()}


def small_change(session: Session) -> None:
    """Measure what a run does beside its images' own work, step by step."""
    folder, output = many_files(session), session.output
    measure(python("bench.peers.steps", str(folder), str(output)), output)
    found = json.loads((output / steps.FOUND).read_text())
    session.results.measures |= {f"small change/{name}": one for name, one in found.items()}


SUITES: dict[str, Callable[[Session], None]] = {
    **{f"local/{n}": partial(Session.race_locally, set_name=n) for n in LOCAL_ROUNDS},
    **{f"broker/{n}": partial(Session.race_through_broker, set_name=n) for n in BROKER_ROUNDS},
    **{f"machines/{name}": partial(machines, set_name=name) for name in PAPERS_SETS},
    **{f"curve/{name}": partial(curve, set_name=name) for name in PAPERS_SETS},
    **{f"costs/{name}": partial(costs, set_name=name) for name in PAPERS_SETS},
    "start": one_small_image,
    "protocol": protocol,
    "many cores": many_cores,
    "small change": small_change,
    "memory/worker": worker_memory,
    "memory/client/local": partial(client_memory, engine="local"),
    "memory/client/rabbitmq": partial(client_memory, engine="rabbitmq"),
}
