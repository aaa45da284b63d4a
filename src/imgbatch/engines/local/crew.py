"""One worker process, seen from the engine: started, given orders, listened to, ended."""

from __future__ import annotations

import socket
import subprocess
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from imgbatch.batch.model import Job
from imgbatch.batch.write import temporary_path
from imgbatch.engines.local.launch import Launched
from imgbatch.engines.local.messages import (
    LARGEST_BYTES,
    Answer,
    Order,
    Setup,
    pack_order,
    pack_setup,
    unpack_answer,
)

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
    launched
        Its process, and the ways to it.
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

    launched: Launched
    attempts: deque[Attempt] = field(default_factory=deque)
    since: float = field(default_factory=time.monotonic)
    ready: bool = False
    retiring: bool = False
    alone: bool = False
    heavy_images: int = 0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Its process."""
        return self.launched.process

    @property
    def channel(self) -> socket.socket:
        """Our end of its socket."""
        return self.launched.channel

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
        self.launched.end()
        for attempt in self.attempts:
            with suppress(OSError):
                temporary_path(attempt.job, self.process.pid).unlink()

    def last_words(self) -> str:
        """Return the end of what it printed before it was ready."""
        self.launched.stderr.seek(0)
        return self.launched.stderr.read()[-_STDERR_SHOWN_BYTES:].decode("utf-8", "replace").strip()


def brief(launched: Launched, setup: Setup) -> Worker:
    """Tell a process what its run is about; it reports when it is ready."""
    worker = Worker(launched)
    with suppress(OSError):  # it just died, which its socket will tell
        launched.channel.send(pack_setup(setup))
    return worker
