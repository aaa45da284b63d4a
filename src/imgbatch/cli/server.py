"""imgbatch-server: from options to settings, and the server until it is told to leave."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgbatch.cli.main import run
from imgbatch.cli.options import SERVER
from imgbatch.cli.terminal import print_out
from imgbatch.errors import Code, UsageError
from imgbatch.storage.places import Location, ObjectPath
from imgbatch.text import os_reason

if TYPE_CHECKING:
    from imgbatch.server.metrics import Metrics


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-server; return its exit status."""
    return run(SERVER, _serve, arguments)


def _serve(given: dict[str, Any]) -> int:
    from imgbatch.broker.address import Address
    from imgbatch.logs import log_to_stderr
    from imgbatch.server.messages import ServerSettings
    from imgbatch.server.self_test import run_self_test
    from imgbatch.server.supervisor import Supervisor
    from imgbatch.settings import filled

    given["allow"] = _with_links_followed(given.get("allow", ()))
    settings = filled(ServerSettings, given)
    log_to_stderr(settings.verbose, settings.log_format)
    # Refuses what makes no sense, before anything is compiled.
    Address(settings.broker).parameters("")
    # Process 1 of a container would not hear it before there is a handler.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    self_test = run_self_test()
    if given.get("check"):
        print_out(f"ready after {self_test.seconds:.1f} s; digest {self_test.digest}")
        return 0
    supervisor = Supervisor(settings, self_test, _metrics(given))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: supervisor.stop())
    supervisor.run()
    return 0


def _with_links_followed(places: Iterable[Location]) -> tuple[Location, ...]:
    """Return places as they are called, which clients may do as well, and as they are."""
    called = [it if isinstance(it, ObjectPath) else it.absolute() for it in places]
    return tuple(dict.fromkeys([*called, *(it.resolve() for it in called)]))


def _metrics(given: Mapping[str, Any]) -> Metrics | None:
    if "metrics_port" not in given:
        return None
    from imgbatch.server.metrics import Metrics

    port, address = given["metrics_port"], given.get("metrics_address", "127.0.0.1")
    try:
        return Metrics(port, address)
    except OSError as error:
        raise UsageError(
            Code.BAD_OPTION,
            f"figures can't be shown at {address}, port {port}: {os_reason(error)}; "
            "--metrics-address and --metrics-port say where",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
