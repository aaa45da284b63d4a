"""A worker process as the system sees it: an interpreter that was started and told nothing yet.

Light to import, so that a program can start one before it imports the rest of itself. Both take
about 0.1 s, and then go on at once.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

WORKER_MODULE = "imgbatch.engines.local.worker"


@dataclass(frozen=True, slots=True)
class Launched:
    """A process and the two ways to it.

    Parameters
    ----------
    process, channel, stderr
        The process, our end of its socket, and what it prints until it is ready.
    """

    process: subprocess.Popen[bytes]
    channel: socket.socket
    stderr: IO[bytes]

    def end(self) -> None:
        """Kill it, if it lives, and close the ways to it; may be repeated."""
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self.stderr.close()


def launch(module: str = WORKER_MODULE) -> Launched:
    """Start a worker process.

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
    with theirs:
        try:
            stderr = _nameless_file()
        except BaseException:
            ours.close()
            raise
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
    return Launched(process, ours, stderr)


def _nameless_file() -> IO[bytes]:
    """Open a file that goes with its descriptor; in memory, where Python was built to know how."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("imgbatch-worker-stderr"), "w+b")
    import tempfile  # 13 ms, which is why it is not the first choice

    return tempfile.TemporaryFile()


@contextmanager
def launched_ahead() -> Iterator[Launched | None]:
    """Start a worker process for an engine that will want one; it is gone when the block ends.

    None if there can be none, which is for the engine to say.
    """
    try:
        ahead = launch()
    except OSError:
        yield None
        return
    try:
        yield ahead
    finally:
        ahead.end()
