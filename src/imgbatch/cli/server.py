"""imgbatch-server: from flags to settings, and the server until it is told to leave."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from imgbatch.broker.address import DEFAULT_URL, Address
from imgbatch.cli.options import parse
from imgbatch.cli.server_options import SERVER
from imgbatch.cores import usable_cores
from imgbatch.errors import ImgbatchError
from imgbatch.images.limits import Limits


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-server; return its exit status."""
    from imgbatch.cli.config import environment_options
    from imgbatch.processes import log_to_stderr

    try:
        given = environment_options(SERVER, os.environ) | parse(SERVER, arguments)
        log_to_stderr(given.get("verbose", False))
        return _serve(given)
    except ImgbatchError as error:
        sys.stderr.write(f"imgbatch-server: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return 130


def _serve(given: Mapping[str, Any]) -> int:
    from imgbatch.server.supervisor import ServerSettings, Supervisor, warm_up

    address = Address(given.get("broker", DEFAULT_URL))
    address.parameters("")  # refuses what makes no sense, before anything is compiled
    fitness = warm_up()
    if given.get("check"):
        sys.stdout.write(f"ready after {fitness.seconds:.1f} s; digest {fitness.digest}\n")
        return 0
    limits = Limits()
    settings = ServerSettings(
        broker=address.url,
        procs=given.get("procs") or usable_cores(),
        name=given.get("name", socket.gethostname()),
        prefetch=given.get("prefetch", 3),
        limits=Limits(
            max_pixels=given.get("max_pixels", limits.max_pixels),
            max_bytes=given.get("max_bytes", limits.max_bytes),
        ),
        image_timeout_seconds=given.get("image_timeout", 120.0),
        memory_bytes=given.get("worker_memory", 1 << 30),
    )
    supervisor = Supervisor(settings, fitness, _metrics(given.get("metrics_port")))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: supervisor.stop())
    supervisor.run()
    return 0


def _metrics(port: int | None) -> Any:
    if port is None:
        return None
    from imgbatch.server.metrics import Metrics

    return Metrics(port)


if __name__ == "__main__":
    sys.exit(main())
