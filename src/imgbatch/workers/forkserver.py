"""A process that has imported what workers need, and forks each of them in some milliseconds.

It starts no thread and decodes nothing, since neither OpenCV nor Numba survives a fork of a process
that has used them. `multiprocessing` has such a server too, but it imports from the working
directory, runs the program's main module again in each worker, and starts a second interpreter to
track resources: its first worker is ready after 115 ms and its sixteenth after 180, here after 97
and 107.

Both ends are light to import, so that a program can start the server before it imports the rest of
itself: both take about 0.1 s, and then go on at once.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_FORK, _KILL = 0, 1
_REQUEST = struct.Struct("@qq")
"""`_FORK` or `_KILL`, and the worker's number; with the first, the descriptors of its pipe and of
its status."""
_EXIT = struct.Struct("@qq")
"""A worker's number, and how it ended: an exit code, or minus the number of a signal."""
COULD_NOT_FORK = 1000
"""In place of an exit code; the number of the system's error is added."""


class ForkServer:
    """The server, seen from the program; its workers end with it.

    Parameters
    ----------
    preload
        Modules that it imports, if they can be imported, and functions that it calls:
        ``module:function``. They must start no thread.

    Raises
    ------
    OSError
        If the system allows no further process or file.
    """

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self.preload = tuple(preload)
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        call = f"serve({theirs.fileno()}, {self.preload})"
        try:
            with theirs:
                # A process group of its own, so that Ctrl-C reaches the program alone. No module is
                # imported from the working directory, where any files may lie: hence -P.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", f"from {__name__} import serve; {call}"],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    process_group=0,
                    env=os.environ | {"PYTHONPATH": _import_path(), "OPENBLAS_NUM_THREADS": "1"},
                )
        except BaseException:
            self.channel.close()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fork(self, number: int, pipe: int, status: int) -> None:
        """Have a worker forked, which gets two descriptors.

        Raises
        ------
        OSError
            If the server is gone.
        """
        socket.send_fds(self.channel, [_REQUEST.pack(_FORK, number)], [pipe, status])

    def kill(self, number: int) -> None:
        """Have a worker killed, if it lives."""
        with suppress(OSError):  # the server is gone, and its workers with it
            self.channel.send(_REQUEST.pack(_KILL, number))

    def next_exit(self) -> tuple[int, int] | None:
        """Wait until a worker has ended; return its number and how, None if the server is gone."""
        try:
            packet = self.channel.recv(_EXIT.size)
        except OSError:
            packet = b""
        return _EXIT.unpack(packet) if packet else None

    def close(self) -> None:
        """End it and all its workers; may be repeated."""
        self.channel.close()
        self._process.wait()


def _import_path() -> str:
    """Return our import path without the working directory, unless it was asked for by name."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    unwanted = {"", str(Path.cwd())} - set(filter(None, named))
    return os.pathsep.join(path for path in sys.path if path not in unwanted)


def serve(descriptor: int, preload: Sequence[str]) -> None:
    """Fork workers until the program closes its end or is gone; then kill those that are left."""
    import gc
    import pkgutil

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for name in preload:
        with suppress(Exception):  # the worker that needs it will say so
            found = pkgutil.resolve_name(name)
            if callable(found):
                found()
    gc.freeze()  # or each worker's first collection would copy all those modules' pages
    channel = socket.socket(fileno=descriptor)
    numbers: dict[int, int] = {}
    # The byte that Python writes for each signal also wakes a `select` that begins just after it;
    # to wait for requests alone would leave that exit unreported until the next request.
    died, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with suppress(OSError):
        while _serve(channel, died, numbers):
            pass
    for pid in numbers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os._exit(0)  # the interpreter's own end, with all that it has loaded, takes 50 ms


def _serve(channel: socket.socket, died: int, numbers: dict[int, int]) -> bool:
    """Follow a request or report exits; return False when the program is gone.

    `numbers` has the worker's number for each process id.
    """
    readable, _, _ = select.select([channel.fileno(), died], [], [])
    if died in readable:
        os.read(died, 4096)
        while numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            channel.send(_EXIT.pack(numbers.pop(pid), os.waitstatus_to_exitcode(status)))
    if channel.fileno() not in readable:
        return True
    packet, descriptors, _, _ = socket.recv_fds(channel, _REQUEST.size, 2)
    if not packet:
        return False
    what, number = _REQUEST.unpack(packet)
    if what == _FORK:
        _fork(channel, number, descriptors, numbers)
    else:
        for pid in [pid for pid, its_number in numbers.items() if its_number == number]:
            os.kill(pid, signal.SIGKILL)
    return True


def _fork(
    channel: socket.socket, number: int, descriptors: list[int], numbers: dict[int, int]
) -> None:
    try:
        pid = os.fork()
    except OSError as error:
        channel.send(_EXIT.pack(number, COULD_NOT_FORK + (error.errno or 0)))
    else:
        if not pid:
            _become_worker(channel, descriptors)
        numbers[pid] = number
    for each in descriptors:
        os.close(each)


def _become_worker(channel: socket.socket, descriptors: list[int]) -> NoReturn:
    from imgbatch.workers.process import run_worker

    try:
        channel.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        run_worker(*descriptors)
    finally:
        os._exit(1)
