"""imgbatch-server: from options to settings, and the server until it is told to leave."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgbatch.cli.main import run
from imgbatch.cli.programs import SERVER
from imgbatch.cli.terminal import print_out


@dataclass(frozen=True, slots=True)
class Watching:
    """What a server tells of itself.

    Parameters
    ----------
    check
        Only whether the kernels are fit.
    verbose
        More in the log.
    metrics_port
        Where Prometheus finds the figures.
    """

    check: bool = False
    verbose: bool = False
    metrics_port: int | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-server; return its exit status."""
    return run(SERVER, _serve, arguments)


def _serve(given: Mapping[str, Any]) -> int:
    from imgbatch.broker.address import Address
    from imgbatch.processes import log_to_stderr
    from imgbatch.server.supervisor import ServerSettings, Supervisor, warm_up
    from imgbatch.settings import filled

    watching, settings = filled(Watching, given), filled(ServerSettings, given)
    log_to_stderr(watching.verbose)
    # Refuses what makes no sense, before anything is compiled.
    Address(settings.broker).parameters("")
    fitness = warm_up()
    if watching.check:
        print_out(f"ready after {fitness.seconds:.1f} s; digest {fitness.digest}")
        return 0
    supervisor = Supervisor(settings, fitness, _metrics(watching.metrics_port))
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
