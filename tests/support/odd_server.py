"""A server that computes as every other one, and says that its pipeline's digest is another.

The thumbnails that it sends are rubbish.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

from imgbatch.logs import log_to_stderr
from imgbatch.protocol.codec import Secrets, encode
from imgbatch.protocol.frames import Result, Thumbnails
from imgbatch.server import answers, worker
from imgbatch.server import supervisor as supervisors
from imgbatch.server.self_test import SelfTest, run_self_test
from imgbatch.server.supervisor import ServerSettings, Supervisor

RUBBISH = b"<script>alert(1)</script>"


def frames_of(
    result: Result, data: bytes, thumbnails: tuple[bytes, bytes] | None, secrets: Secrets
) -> Iterator[bytes]:
    if thumbnails is not None:
        before, after = thumbnails
        middle, payload = [
            (len(RUBBISH), RUBBISH + RUBBISH),
            (len(before), before + RUBBISH),
            (2**53, before + after),
            (len(before), before + after + bytes(1_000_000)),
        ][result.job % 4]
        frame = Thumbnails(result.batch, result.job, result.transfer, middle)
        yield encode(frame, payload, secrets)
    yield from answers.frames_of(result, data, None, secrets)


def work(*arguments: Any) -> None:
    """Be a worker process of such a server."""
    worker.frames_of = frames_of
    worker.main(*arguments)


def main(broker: str, name: str) -> None:
    log_to_stderr(verbose=False)
    found = run_self_test()
    odd = SelfTest("0" * 64, {**found.components, "simplejpeg": "0.0.1"}, found.seconds)
    supervisors.WORKER = "tests.support.odd_server:work"
    supervisor = Supervisor(ServerSettings(broker, procs=1, name=name), odd)
    signal.signal(signal.SIGTERM, lambda _number, _frame: supervisor.stop())
    supervisor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
