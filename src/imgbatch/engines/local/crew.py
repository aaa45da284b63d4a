"""One worker process, seen from the engine: started, given orders, listened to, ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from imgbatch.batch.model import Job
from imgbatch.batch.write import temporary_path
from imgbatch.engines.local.messages import (
    LARGEST_BYTES,
    Answer,
    Order,
    Setup,
    pack_order,
    pack_setup,
    unpack_answer,
)

WORKER_MODULE = "imgbatch.engines.local.worker"
_LEAVE_SECONDS = 2.0
_STDERR_SHOWN_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A job, and how many workers had begun it before."""

    job: Job
    failures: int = 0


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process and what it holds.

    Parameters
    ----------
    process, channel, stderr
        Its process, our end of its socket, and what it prints until it is ready.
    attempts
        What it was given and has not answered, the one it computes first.
    since
        The monotonic time at which it took up that one.
    ready, retiring
        Whether it may be given work; whether it is to leave when it has none.
    alone
        Whether it has an image that is suspected to kill workers, and nothing beside.
    heavy_images
        How many images in a row left it with more memory than it should hold.
    """

    process: subprocess.Popen[bytes]
    channel: socket.socket
    stderr: IO[bytes]
    attempts: deque[Attempt] = field(default_factory=deque)
    since: float = field(default_factory=time.monotonic)
    ready: bool = False
    retiring: bool = False
    alone: bool = False
    heavy_images: int = 0

    @property
    def idle(self) -> bool:
        """Whether it can begin with an image at once."""
        return self.ready and not self.retiring and not self.attempts

    def give(self, attempt: Attempt) -> None:
        """Send it an image; it is begun when those before are done."""
        if not self.attempts:
            self.since = time.monotonic()
        self.attempts.append(attempt)
        with suppress(OSError):  # it just died, which its socket will tell
            self.channel.send(pack_order(Order(attempt.job, again=attempt.failures > 0)))

    def receive(self) -> Answer | None:
        """Return its next answer; None if it is dead."""
        try:
            packet = self.channel.recv(LARGEST_BYTES)
        except OSError:
            packet = b""
        return unpack_answer(packet) if packet else None

    def finished_first(self) -> Attempt:
        """Take off the attempt it has answered; the next is begun now."""
        self.since = time.monotonic()
        self.alone = False
        return self.attempts.popleft()

    def leave(self) -> None:
        """Let it end by itself, and make sure that it does."""
        self.channel.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LEAVE_SECONDS)
        self.end()

    def end(self) -> None:
        """Kill it, if it lives, and remove what it was writing."""
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self.stderr.close()
        for attempt in self.attempts:
            with suppress(OSError):
                temporary_path(attempt.job, self.process.pid).unlink()

    def last_words(self) -> str:
        """Return the end of what it printed before it was ready."""
        self.stderr.seek(0)
        return self.stderr.read()[-_STDERR_SHOWN_BYTES:].decode("utf-8", "replace").strip()


def start_worker(setup: Setup, module: str = WORKER_MODULE) -> Worker:
    """Start a worker process; it reports when it is ready.

    It is a fresh interpreter, not a fork, since neither OpenCV nor Numba survive a fork of a
    process that has used them; and a process group of its own, so that Ctrl-C reaches us alone.

    Parameters
    ----------
    module
        What the process runs, as ``python -m`` does.

    Raises
    ------
    OSError
        If the system allows no further process or file.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stderr = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the worker
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            process_group=0,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
        )
    except BaseException:
        ours.close()
        stderr.close()
        raise
    finally:
        theirs.close()
    worker = Worker(process, ours, stderr)
    with suppress(OSError):
        ours.send(pack_setup(setup))
    return worker
