"""A server that computes as every other one, and says that its pipeline's digest is another."""

from __future__ import annotations

import signal
import sys

from imgbatch.server.logs import log_to_stderr
from imgbatch.server.self_test import SelfTest, run_self_test
from imgbatch.server.supervisor import ServerSettings, Supervisor


def main(broker: str, name: str) -> None:
    log_to_stderr(verbose=False)
    found = run_self_test()
    odd = SelfTest("0" * 64, {**found.components, "simplejpeg": "0.0.1"}, found.seconds)
    supervisor = Supervisor(ServerSettings(broker, procs=1, name=name), odd)
    signal.signal(signal.SIGTERM, lambda _number, _frame: supervisor.stop())
    supervisor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
