"""What runs cost whose photographs machines read and write themselves, from a share or a bucket.

``python -m bench.by_reference costs|simulated|listing|bucket [--images N] [--rounds N]``

costs: processor time of client and broker for one image on a share, and the same image sent
through the broker. simulated: images a second of one client and one broker, with 500 servers whose
workers are simulated. listing: a bucket of so many objects listed, planned, recorded and reported,
with an engine that does nothing. bucket: photographs from bucket to bucket on this machine,
against the same bytes through obstore alone and the codecs alone. Each prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.contenders import CLIENT, fleet
from bench.harness.processes import python
from bench.harness.resources import cpu_seconds

SERVERS = 500
SERVERS_TO_A_PROCESS = 125
PAGE_OBJECTS = 1_000


@contextmanager
def share(images: int) -> Iterator[Path]:
    """Make a folder of grey squares of 16 x 16 pixels, in memory."""
    import cv2
    import numpy as np

    data = cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
    with tempfile.TemporaryDirectory(prefix="imgbatch-share-", dir="/dev/shm") as name:
        folder = Path(name, "in")
        folder.mkdir()
        for number in range(images):
            (folder / f"{number:06}.jpg").write_bytes(data)
        yield Path(name)


def run_client(*words: object, **environment: str) -> tuple[float, float]:
    """Return the seconds and the processor time of a client."""
    command = [*CLIENT, "--no-html", *map(str, words)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd="/dev/shm")
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} failed")
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime


def costs(images: int, _rounds: int) -> dict[str, Any]:
    from tests.support.rabbitmq import private_node

    found = {}
    with (
        share(images) as folder,
        private_node() as node,
        fleet("imgbatch", node.url, procs=2, allow=folder),
    ):
        for name, words in (("by reference", ["--direct"]), ("sent", [])):
            before = cpu_seconds(node.pid())
            target = folder / f"out {name}"
            _, client = run_client(folder / "in", target, "--broker", node.url, *words)
            broker = cpu_seconds(node.pid()) - before
            found[name] = {
                "client_ms": round(1000 * client / images, 3),
                "broker_ms": round(1000 * broker / images, 3),
            }
    return found


def simulated(images: int, _rounds: int) -> dict[str, Any]:
    from tests.support.rabbitmq import private_node

    from bench.fleet import machines_at
    from bench.fleet import program as kept

    with ExitStack() as stack:
        folder, node = stack.enter_context(share(images)), stack.enter_context(private_node())
        for first in range(0, SERVERS, SERVERS_TO_A_PROCESS):
            words = ("-m", "bench.fleet", "--broker", node.url, "--be-servers")
            numbers = (first, min(SERVERS_TO_A_PROCESS, SERVERS - first))
            stack.enter_context(kept(*words, *numbers, stdin=subprocess.PIPE))
        while machines_at(node.url) < SERVERS:
            time.sleep(1)
        words = [folder / "in", folder / "out", "--broker", node.url, "--direct"]
        seconds, client = run_client(*words)
        report = json.loads((folder / "out" / "imgbatch-report.json").read_text())
        times = sorted(file["finished_seconds"] for file in report["files"])
        middle = times[len(times) // 4 : -len(times) // 4]
    return {
        "images_per_second": round(len(middle) / (middle[-1] - middle[0])),
        "with_program": round(images / seconds),
        "client_ms": round(1000 * client / images, 3),
        "machines_used": report["machines_used"],
    }


class Listing(BaseHTTPRequestHandler):
    """As much of S3 as a listing takes: so many objects in one folder, and uploads into nowhere."""

    protocol_version = "HTTP/1.1"
    images = 0

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        first = int(query.get("continuation-token", ["0"])[0])
        is_input = query.get("prefix", [""])[0].startswith("in")
        last = min(first + PAGE_OBJECTS, self.images) if is_input else 0
        more = is_input and last < self.images
        token = f"<NextContinuationToken>{last}</NextContinuationToken>" if more else ""
        entries = "".join(
            f"<Contents><Key>in/{number // 1000:04}/IMG_{number:07}.jpg</Key><Size>2930000</Size>"
            f"<LastModified>2026-11-01T10:00:00.000Z</LastModified><ETag>&quot;{number:032x}&quot;"
            "</ETag></Contents>"
            for number in range(first, last)
        )
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        self._say(f"<ListBucketResult>{truncated}{token}{entries}</ListBucketResult>")

    def do_PUT(self) -> None:
        self._take()
        self._say("")

    def do_POST(self) -> None:
        self._take()
        kind = "Initiate" if "uploads" in self.path else "Complete"
        fields = "<UploadId>1</UploadId><ETag>x</ETag><Bucket>b</Bucket><Key>k</Key>"
        self._say(f"<{kind}MultipartUploadResult>{fields}</{kind}MultipartUploadResult>")

    def _take(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))

    def _say(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def be_listing(images: int) -> None:
    """Be that server, and print the port."""
    Listing.images = images
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listing)
    print(server.server_address[1], flush=True)
    server.serve_forever()


class NoEngine:
    """Says of each image at once that it is written."""

    name = "local"

    def run(self, jobs: Any, _recipe: object, listener: Any, _stop: object) -> None:
        from imgbatch.batch.model import MachineUse, Outcome, Status

        listener.machines([MachineUse("here", "here", 1)])
        while not jobs.is_exhausted:
            taken = jobs.take(256)
            for job in taken:
                outcome = Outcome(job.index, Status.WRITTEN, None, 0.001, "here", 16, 16, 700)
                listener.finished(outcome)
            if not taken:
                select.select([jobs.wake], [], [], 1.0)


def listing(images: int, _rounds: int) -> dict[str, Any]:
    from imgbatch import run
    from imgbatch.batch.tally import Tally
    from imgbatch.engines.base import Stop
    from imgbatch.settings import settings_from

    words = python("bench.by_reference", "be-listing", "--images", str(images))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{int(server.stdout.readline())}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            run._engine = lambda *_: NoEngine()  # type: ignore[assignment]
            begun, cpu_begun = time.monotonic(), time.process_time()
            settings = settings_from({"source": "s3://photos/in", "target": "s3://photos/out"})
            report = run.execute(settings, Tally(), Stop())
            seconds, cpu = time.monotonic() - begun, time.process_time() - cpu_begun
        server.terminate()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mib": round(peak, 1),
        "written": report.totals.files,
        "exit_status": report.exit_status,
    }


def copy(name: str) -> None:
    """Read every object of a bucket's folder and write it elsewhere, with nothing between."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(name, client_options={"allow_http": True})

    def one(key: str) -> None:
        data = obstore.get(store, key).bytes()
        obstore.put(store, f"copy/{key}", data, use_multipart=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, [meta["path"] for meta in obstore.list(store, "in").collect()]))


def bucket(images: int, rounds: int) -> dict[str, Any]:
    from tests.support.s3 import new_bucket, private_s3

    from bench.datasets.build import folder_of

    files = sorted(folder_of("tokyo").iterdir())[:images]
    seconds: dict[str, list[float]] = {"obstore": [], "codec": [], "folders": [], "bucket": []}
    with private_s3() as server, tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        place, source, target = new_bucket(server), Path(name, "in"), Path(name, "out")
        source.mkdir()
        for file in files:
            shutil.copy(file, source)
            place.put(f"in/{file.name}", file.read_bytes())
        environment = server.environment() | {"PYTHONPATH": str(Path.cwd())}
        codec = python("bench.peers.pools", "codec", str(source), str(target))
        alone = python("bench.by_reference", "copy", "--bucket", place.name)
        between = (f"{place.url}/in", f"{place.url}/out", "--overwrite")
        report = ("--report", Path(name, "report.json"))
        ways = {
            "obstore": partial(subprocess.run, alone, check=True, env=os.environ | environment),
            "codec": partial(subprocess.run, codec, check=True),
            "folders": partial(run_client, source, target, "--overwrite"),
            "bucket": partial(run_client, *between, *report, **environment),
        }
        for _ in range(rounds):
            for way, go in ways.items():
                shutil.rmtree(target, ignore_errors=True)
                begun = time.perf_counter()
                go()
                seconds[way].append(time.perf_counter() - begun)
    best = {way: min(times) for way, times in seconds.items()}
    ratio = (best["obstore"] + best["codec"]) / best["bucket"]
    shown = {way: [round(it, 2) for it in times] for way, times in seconds.items()}
    return {**shown, "ratio_of_best": round(ratio, 3)}


MEASURES = {"costs": costs, "simulated": simulated, "listing": listing, "bucket": bucket}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=[*MEASURES, "be-listing", "copy"])
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bucket", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.what == "be-listing":
        be_listing(given.images)
    elif given.what == "copy":
        copy(given.bucket)
    else:
        print(json.dumps(MEASURES[given.what](given.images, given.rounds), indent=2))


if __name__ == "__main__":
    sys.exit(main())
