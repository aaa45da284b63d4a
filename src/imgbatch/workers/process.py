"""What every worker process does first, and how it says what kept it from working."""

from __future__ import annotations

import ctypes
import os
import pkgutil
import resource
import signal
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from imgbatch.images.limits import Limits
from imgbatch.storage import store
from imgbatch.workers.status import WorkerStatus, memory_of
from imgbatch_kernels import compiled

COMPILING = "compiling the kernels for this processor, once"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Start:
    """The first message to a worker.

    Parameters
    ----------
    target
        What it runs, as ``module:function``, with `arguments`, its pipe and its status.
    memory_bytes
        How far its address space may grow from there; None: without a limit.
    logs
        Whether what it prints to standard error is shown.
    """

    target: str
    arguments: tuple[Any, ...]
    memory_bytes: int | None
    logs: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it can be given work."""


@dataclass(frozen=True, slots=True)
class WorkerError:
    """From a worker: the exception that ends it."""

    sentence: str


def run_worker(pipe_descriptor: int, status_descriptor: int) -> NoReturn:
    """Be a worker until its target returns, and end the process.

    The pipe is open until then: its end is what tells the pool that the worker has gone.
    """
    settle_in()
    pipe, status = Connection(pipe_descriptor), WorkerStatus(status_descriptor)
    status.note_process()
    compiled.on_compiling = lambda active: status.note_waiting(COMPILING if active else "")
    store.on_waiting = status.note_waiting
    try:
        start: Start = pipe.recv()
        if not start.logs:
            sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  # until the process ends
        if start.memory_bytes is not None:
            limit_address_space(start.memory_bytes)
        pkgutil.resolve_name(start.target)(*start.arguments, pipe, status)
    except EOFError:  # the pool was closed before it had anything to do
        pass
    except BaseException as error:
        with suppress(OSError):
            pipe.send(WorkerError(f"{type(error).__name__}: {error}"))
        os._exit(1)
    os._exit(0)


def limit_address_space(more_bytes: int) -> None:
    """Let this process's address space grow by so much, and by no more.

    What asks for more gets a MemoryError, instead of the machine's other processes being killed.
    """
    limit_bytes = memory_of(os.getpid())[0] + more_bytes
    _, hard_bytes = resource.getrlimit(resource.RLIMIT_AS)
    if hard_bytes == resource.RLIM_INFINITY or limit_bytes < hard_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, hard_bytes))


def worst_case_bytes(limits: Limits, files: int = 1) -> int:
    """Return how far a worker's address space may grow for the largest image that limits allow.

    What its codec and the buffers take; the file twice, as it comes and as it goes; and 1 GiB for
    buffers that are kept, threads' stacks and what is imported later. But not beyond the
    machine's memory.
    """
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    files_bytes = (files + 1) * limits.max_bytes
    return min(limits.memory_bytes + files_bytes + (1 << 30), machine_bytes)


def settle_in() -> None:
    """Make this process a quiet child: it dies with the fork server, and leaves Ctrl-C to others.

    Native decoders write their warnings straight to file descriptors 1 and 2. That goes to nowhere
    from now on, while Python's own standard error stays what it was. What the kernels warn of, that
    they can't be kept or can't run, is said once by the program, and not by each worker. And where
    the machine runs out of memory, it is a worker that goes, not whatever else runs there.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    warnings.simplefilter("ignore", RuntimeWarning)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")
