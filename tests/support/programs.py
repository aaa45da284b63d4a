"""The programs as processes of their own, as a user starts them: server, client, status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.children import fork_servers_of, workers_of
from tests.support.rights import SERVER, as_user

PATIENCE_SECONDS = 90.0
"""For what takes a second or two: the machine may be busy with something else."""
CLIENT = "import sys; from imgbatch.cli.client import main; sys.exit(main())"
FRAGILE = str(Path(__file__).with_name("fragile_server.py"))
ODD = str(Path(__file__).with_name("odd_server.py"))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which nobody's settings play a part."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IMGBATCH_")}
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return kept | {"XDG_CONFIG_HOME": "/nonexistent", "PYTHONPATH": path} | dict(more or {})


def wait_until(
    holds: Callable[[], Any], what: str, timeout_seconds: float = PATIENCE_SECONDS
) -> float:
    """Wait until something holds; return how long that took."""
    begun = time.monotonic()
    while not holds():
        waited = time.monotonic() - begun
        assert waited < timeout_seconds, f"after {waited:.0f} s still not: {what}"
        time.sleep(0.05)
    return time.monotonic() - begun


def let_pass(seconds: float) -> None:
    """Let a fault last; the one place where a test just waits."""
    time.sleep(seconds)


@dataclass
class Program:
    """One running program, and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and return its exit status."""
        try:
            return self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running; it said:\n{self.said()}") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program, not to its children."""
        self.process.send_signal(number)

    def send_all(self, number: signal.Signals) -> None:
        """Send a signal to the program, its fork server and its workers."""
        for group in (self.pid, *fork_servers_of(self.pid)):
            os.killpg(group, number)

    def workers(self) -> list[int]:
        """Return the ids of its worker processes."""
        return workers_of(self.pid)

    def end(self) -> None:
        """Make sure that nothing of it is left."""
        with suppress(ProcessLookupError):
            self.send_all(signal.SIGKILL)
        self.process.wait()


@dataclass
class Client(Program):
    """A run of imgbatch-client."""

    source: Path
    target: Path

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.target / "imgbatch-report.json").read_text())
        return report

    def written(self) -> set[str]:
        """Return the names of the results that are there."""
        return {
            str(path.relative_to(self.target))
            for path in self.target.rglob("*")
            if path.is_file() and not path.name.startswith((".", "imgbatch-report"))
        }

    def wait_for_results(self, count: int) -> None:
        """Wait until at least so many results are there."""
        wait_until(
            lambda: len(self.written()) >= count or not self.is_alive,
            f"{count} results; the client said:\n{self.said()}",
        )


class Programs:
    """Starts programs, and ends those that are left when the test is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Program] = []

    def server(
        self,
        broker: str,
        *options: str | int,
        name: str = "a",
        procs: int = 1,
        fragile: bool = False,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Program:
        """Start imgbatch-server as the servers' user.

        With `fragile`, its images can ask for trouble.
        """
        module = [FRAGILE] if fragile else ["-m", "imgbatch.cli.server"]
        words = ["--broker", as_user(broker, SERVER), "--name", name, "--procs", procs, *options]
        return self._start([*prefix, sys.executable, *module, *map(str, words)], "server", env)

    @property
    def servers(self) -> list[Program]:
        """All servers that were started, in order."""
        return [program for program in self._started if program.log.name.startswith("server")]

    def wait_for_machines(self, broker: str, count: int) -> None:
        """Wait until so many machines answer at a broker."""
        wait_until(lambda: len(self.machines(broker)) == count, f"{count} machines")

    def machines(self, broker: str) -> list[dict[str, Any]]:
        """Return what each machine at a broker announces."""
        machines: list[dict[str, Any]] = json.loads(self.status(broker, "--json").stdout)[
            "machines"
        ]
        return machines

    def odd_server(self, broker: str, name: str) -> Program:
        """Start a server that claims to compute other bits than all others."""
        return self._start([sys.executable, ODD, as_user(broker, SERVER), name], "server", None)

    def client(
        self,
        source: Path,
        target: Path,
        *options: str | int,
        broker: str | None = None,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Client:
        """Start imgbatch-client."""
        words = [source, target, *(("--broker", broker) if broker else ()), "--no-html", *options]
        command = [*prefix, sys.executable, "-c", CLIENT, *map(str, words)]
        program = self._start(command, "client", env)
        client = Client(program.process, program.log, source, target)
        self._started[-1] = client
        return client

    def status(self, broker: str, *options: str | int) -> subprocess.CompletedProcess[str]:
        """Run imgbatch-status to its end."""
        words = ["--broker", broker, *map(str, options)]
        return subprocess.run(
            [sys.executable, "-m", "imgbatch.cli.status", *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            env=environment(),
            check=False,
        )

    def _start(self, command: list[str], what: str, env: Mapping[str, str] | None) -> Program:
        log = self._folder / f"{what}-{len(self._started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(env),
                start_new_session=True,
            )
        program = Program(process, log)
        self._started.append(program)
        return program

    def end(self) -> None:
        for program in self._started:
            program.end()


@contextmanager
def programs_in(folder: Path) -> Iterator[Programs]:
    """Start programs whose logs lie in a folder; none of them outlives the block."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = Programs(folder)
    try:
        yield programs
    finally:
        programs.end()
