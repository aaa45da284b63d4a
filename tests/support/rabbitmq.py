"""A private RabbitMQ node: own name, ports, cookie and folders, started and stopped by us alone."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path("usr/lib/rabbitmq/bin")
START_SECONDS = 90.0


def rabbitmq_is_installed(root: Path = Path("/")) -> bool:
    """Whether a node can be started here: the server's own scripts, not a running service."""
    return all((root / SCRIPTS / name).exists() for name in ("rabbitmq-server", "rabbitmqctl"))


def free_port() -> int:
    """Return a port that nothing on the loopback interface listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Node:
    """One private node.

    Parameters
    ----------
    folder
        Where its data, logs and cookie live.
    listen
        The addresses it takes AMQP connections on.
    root
        The system whose RabbitMQ it is, entered by chroot; `folder` lies in it.
    more_settings
        Further lines of its rabbitmq.conf.
    plugins
        Those that are enabled.
    """

    folder: Path
    listen: tuple[str, ...] = ("127.0.0.1",)
    root: Path = Path("/")
    more_settings: str = ""
    plugins: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    epmd_port: int = field(default_factory=free_port)
    distribution_port: int = field(default_factory=free_port)
    name: str = field(default_factory=lambda: f"imgbatch-{secrets.token_hex(4)}@localhost")
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address a client uses."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def inside(self, path: Path) -> Path:
        """Return a path as the node sees it."""
        return Path("/") / path.relative_to(self.root)

    def _command(self, script: str) -> list[str]:
        if self.root == Path("/"):
            return [f"/{SCRIPTS / script}"]
        # With a /proc of its own, which goes with it: Erlang looks there for memory and processes.
        enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        return ["unshare", "--mount", "sh", "-c", enter, str(self.root), f"/{SCRIPTS / script}"]

    def environment(self) -> dict[str, str]:
        """The environment that the node and its rabbitmqctl run with."""
        folder = self.inside(self.folder)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "node.pid"),
            "RABBITMQ_CTL_ERL_ARGS": "+S 1:1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def start(self) -> None:
        """Start the node and wait until it takes connections."""
        self._write_settings()
        log = (self.folder / "console.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self._command("rabbitmq-server"),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_up()

    def _write_settings(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        listeners = "".join(
            f"listeners.tcp.{number} = {address}:{self.port}\n"
            for number, address in enumerate(self.listen, start=1)
        )
        (self.folder / "rabbitmq.conf").write_text(
            f"{listeners}loopback_users = none\nvm_memory_high_watermark.absolute = 2GB\n"
            "disk_free_limit.absolute = 50MB\nlog.file.level = warning\n"
            f"{self.more_settings}"
        )
        (self.folder / "enabled_plugins").write_text(f"[{','.join(self.plugins)}].\n")

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                break
            if self._speaks_amqp():
                return
            time.sleep(0.1)
        raise RuntimeError(f"no RabbitMQ after {START_SECONDS:.0f} s:\n{self._log_end()}")

    def _speaks_amqp(self) -> bool:
        try:
            with socket.create_connection((self.listen[0], self.port), timeout=2) as connection:
                connection.settimeout(2)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(1))
        except OSError:
            return False

    def _log_end(self) -> str:
        log = self.folder / "console.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else ""

    def control(self, *words: str, timeout_seconds: float = 60.0) -> str:
        """Run rabbitmqctl against the node and return what it printed."""
        finished = subprocess.run(
            [*self._command("rabbitmqctl"), "-q", "-n", self.name, *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=True,
        )
        return finished.stdout

    def queues(self, *columns: str) -> list[dict[str, str]]:
        """Return what `list_queues` tells of each queue, by column."""
        lines = self.control("list_queues", "--no-table-headers", "name", *columns).splitlines()
        names = ("name", *columns)
        return [dict(zip(names, line.split("\t"), strict=False)) for line in lines if line]

    def pid(self) -> int:
        """The Erlang machine's own process id."""
        return int((self.folder / "node.pid").read_text())

    def kill(self) -> None:
        """End the node as a power failure would, for a later `start`."""
        os.kill(self.pid(), signal.SIGKILL)
        if self.process is not None:
            self.process.wait(20)
        self.process = None

    def stop(self) -> None:
        """End the node, and the port mapper that it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
        self.process = None
        self._stop_port_mapper()

    def _stop_port_mapper(self) -> None:
        # The node starts epmd as a daemon of its own. It is ours if it listens on our port.
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if f"ERL_EPMD_PORT={self.epmd_port}".encode() in environment and name == "epmd":
                os.kill(int(entry.name), signal.SIGKILL)


@contextmanager
def private_node(
    listen: tuple[str, ...] = ("127.0.0.1",),
    root: Path = Path("/"),
    more_settings: str = "",
    prepare: Callable[[Node], None] = lambda _node: None,
) -> Iterator[Node]:
    """Run a node in a folder of its own for as long as the block lasts.

    `prepare` is called when that folder is there, before the node is started.
    """
    within = None if root == Path("/") else root / "var/tmp"
    folder = Path(tempfile.mkdtemp(prefix="imgbatch-rabbitmq-", dir=within))
    node = Node(folder / "node", listen, root, more_settings)
    try:
        node.folder.mkdir()
        prepare(node)
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)
