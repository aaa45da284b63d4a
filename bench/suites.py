"""The races and measures of a session, by name; `bench.run` runs them one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bench.baseline import messages
from bench.baseline.operation import FACTORS
from bench.contenders import LOCAL, OURS, distributed, fleet, servers_for
from bench.datasets.folders import Folder
from bench.harness.processes import measure, program
from bench.harness.ratios import in_turn, timed
from bench.harness.resources import cpu_seconds, family, peaks_of
from bench.harness.results import Race
from bench.session import TOO_SLOW, Pace, Session

POOLS = (*OURS[:2], "opencv pool")
LIBRARIES = (*POOLS, "pyvips", "pillow")
SLOW = dict.fromkeys(("graphicsmagick", "imagemagick", "imagemagick everyday"), 3)
LOCAL_ROUNDS: dict[str, Mapping[str, int]] = {
    "tokyo": {**dict.fromkeys((*LIBRARIES, "codec floor"), 7), **SLOW},
    "crops": dict.fromkeys((*LIBRARIES, "codec floor"), 7),
    "crops-x10": dict.fromkeys(POOLS, 5),
    "tokyo-png": dict.fromkeys(LIBRARIES, 5),
    "crops-png": dict.fromkeys(LIBRARIES, 5),
    "jpeg-12mp": dict.fromkeys(POOLS, 7),
    "jpeg-0.5mp": dict.fromkeys(POOLS, 7),
    "jpeg-0.5mp-x10": dict.fromkeys(POOLS, 5),
    "png-8mp": dict.fromkeys(POOLS, 7),
}
PAPERS_SETS = ("tokyo", "crops")
ENGINES = dict.fromkeys(OURS, 7)
SYSTEMS = {**ENGINES, "bare pika": 7, "celery": 7, "paper": 3, "paper, wide receive": 3}
BROKER_ROUNDS: dict[str, Mapping[str, int]] = {
    "tokyo": SYSTEMS,
    "crops": SYSTEMS,
    "jpeg-12mp": ENGINES,
    "jpeg-0.5mp": ENGINES,
}

MACHINE_CORES = 0.4
SMALL_MACHINE_CORES = 0.15
FLEETS = (("imgbatch", 1), ("imgbatch", 2), ("imgbatch", 4), ("paper", 1), ("paper", 2))
CURVE = (1, 2, 4, 8)

MANY_FILES = 100_000
FEWER_FILES = 2_000
TYPICAL_BYTES = 2_930_000
CHUNK_BYTES = 1024 * 1024


def machines(session: Session, set_name: str) -> None:
    """Repeat the paper's tables: fleets of both systems, four runs each."""
    fleets = [one for one in FLEETS if one[0] == "imgbatch" or session.pace is not Pace.BRIEF]
    skipped = {f"{system} x{count}": TOO_SLOW for system, count in set(FLEETS) - set(fleets)}
    runs = {
        f"{system} x{count}": fleet_run(session, system, count, MACHINE_CORES, set_name)
        for system, count in fleets
    }
    seconds = in_turn(runs, session.rounds(4))
    session.results.races[f"machines/{set_name}"] = Race(seconds, skipped=skipped)


def curve(session: Session, set_name: str) -> None:
    """Race fleets of small machines; no ratio is asked of them, so a brief session does not."""
    if session.pace is Pace.BRIEF:
        return
    runs = {
        f"imgbatch x{count}": fleet_run(session, "imgbatch", count, SMALL_MACHINE_CORES, set_name)
        for count in CURVE
    }
    session.results.races[f"curve/{set_name}"] = Race(in_turn(runs, session.rounds(3)))


def fleet_run(
    session: Session, system: str, count: int, cores: float, set_name: str
) -> Callable[[], float]:
    """Return a run of a set on so many fresh machines; only the client's time counts."""
    url, folder = session.node().url, session.sets.folder(set_name)
    client, smallest = distributed(url)[system], session.sets.smallest(set_name)

    def run() -> float:
        with fleet(system, url, machines=count, cores=cores):
            client.run(smallest, session.output)
            return client.run(folder, session.output).seconds

    return run


def costs(session: Session, set_name: str) -> None:
    """Measure the CPU time that broker, client and server spend on a set."""
    node, folder = session.node(), session.sets.folder(set_name)
    smallest, known = session.sets.smallest(set_name), distributed(node.url)
    with fleet("imgbatch", node.url, machines=1, procs=session.cores) as (server,):
        known["imgbatch"].run(smallest, session.output)
        before = cpu_seconds(node.pid()), sum(map(cpu_seconds, family(server.pid)))
        run = known["imgbatch"].run(folder, session.output)
        after = cpu_seconds(node.pid()), sum(map(cpu_seconds, family(server.pid)))
    with servers_for("bare pika", node.url, session.cores):
        known["bare pika"].run(smallest, session.output)
        bare = -cpu_seconds(node.pid())
        known["bare pika"].run(folder, session.output)
        bare += cpu_seconds(node.pid())
    session.results.measures |= {
        f"costs/{set_name}/broker": after[0] - before[0],
        f"costs/{set_name}/server": after[1] - before[1],
        f"costs/{set_name}/client": run.cpu_seconds,
        f"costs/{set_name}/broker, bare": bare,
        f"costs/{set_name}/images": folder.images,
        f"costs/{set_name}/bytes": sum(folder.sizes_bytes),
        f"costs/{set_name}/largest": max(folder.sizes_bytes),
    }


def one_small_image(session: Session) -> None:
    """Race whole processes that have next to nothing to do, with warm caches."""
    smallest = session.sets.smallest("crops")
    commands = {name: (LOCAL[name].command(smallest, session.output), 1) for name in POOLS}
    commands["imgbatch --help"] = list(program("imgbatch-client", "--help")), 0
    commands["python alone"] = [sys.executable, "-c", "pass"], 0
    runs = {
        name: partial(lambda *words: measure(*words).seconds, command, session.output, images)
        for name, (command, images) in commands.items()
    }
    seconds = in_turn(runs, session.rounds(9), warm_up=1)
    session.results.races["start/one small image"] = Race(seconds)


def protocol(session: Session) -> None:
    """Race two ways of carrying one photograph, and count the bytes of each."""
    import cv2

    files = session.sets.folder("tokyo").path.iterdir()
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
    from imgbatch.protocol import Chunk, Ticket, encode
    from imgbatch.recipe import Recipe

    recipe = Recipe(Adjustment(**FACTORS)).to_fields()
    yield encode(Ticket("batch", 7, 0, "client", len(data), 250_000_000, recipe))
    for offset in range(0, len(data), CHUNK_BYTES):
        piece = memoryview(data)[offset : offset + CHUNK_BYTES]
        yield encode(Chunk("batch", 7, 1, offset, len(data)), piece)


def image_of(bodies: list[bytes]) -> bytearray:
    """Return the image that frames carry, checked and put together."""
    from imgbatch.protocol import Chunk, Ticket, decode

    ticket = decode(bodies[0]).frame
    assert isinstance(ticket, Ticket)
    image = bytearray(ticket.size_bytes)
    for body in bodies[1:]:
        received = decode(body)
        assert isinstance(received.frame, Chunk)
        begin = received.frame.offset_bytes
        image[begin : begin + len(received.payload)] = received.payload
    return image


def worker_memory(session: Session) -> None:
    """Measure what a worker holds on large photographs."""
    command = LOCAL["imgbatch"].command(session.sets.folder("tokyo"), session.output)
    peaks = peaks_of(command, session.output)
    session.results.measures["memory/worker"] = peaks.child_bytes
    session.results.measures["memory/client, tokyo"] = peaks.parent_bytes


def client_memory(session: Session, engine: str) -> None:
    """Measure what the client holds on very many files."""
    folder = many_files(session)
    if engine == "local":
        peaks = peaks_of(LOCAL["imgbatch"].command(folder, session.output), session.output)
    else:
        url = session.node().url
        command = distributed(url)["imgbatch"].command(folder, session.output)
        with fleet("imgbatch", url, machines=1, procs=session.cores):
            peaks = peaks_of(command, session.output)
    name = f"memory/client, {folder.images:,} files, {engine}"
    session.results.measures[name] = peaks.parent_bytes


def many_files(session: Session) -> Folder:
    """Return a folder of very many grey squares of 16 x 16 pixels."""
    import cv2
    import numpy as np

    folder = session.sets.workspace / "many"
    if not folder.is_dir():
        folder.mkdir()
        data = cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
        for number in range(MANY_FILES if session.pace is Pace.WHOLE else FEWER_FILES):
            (folder / f"{number:06d}.jpg").write_bytes(data)
    return Folder.at(folder)


def named(
    prefix: str, suite: Callable[..., None], sets: Mapping[str, Mapping[str, int]]
) -> dict[str, Callable[[Session], None]]:
    """Return a suite of races for each set."""
    return {
        f"{prefix}/{name}": partial(suite, set_name=name, rounds=rounds)
        for name, rounds in sets.items()
    }


SUITES: dict[str, Callable[[Session], None]] = {
    **named("local", Session.race_locally, LOCAL_ROUNDS),
    **named("broker", Session.race_through_broker, BROKER_ROUNDS),
    **{f"machines/{name}": partial(machines, set_name=name) for name in PAPERS_SETS},
    **{f"curve/{name}": partial(curve, set_name=name) for name in PAPERS_SETS},
    **{f"costs/{name}": partial(costs, set_name=name) for name in PAPERS_SETS},
    "start": one_small_image,
    "protocol": protocol,
    "memory/worker": worker_memory,
    "memory/client/local": partial(client_memory, engine="local"),
    "memory/client/rabbitmq": partial(client_memory, engine="rabbitmq"),
}
