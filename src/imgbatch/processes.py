"""What every worker process of imgbatch does first, wherever it works."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1


def settle_in() -> None:
    """Make this process a quiet child: it dies with its parent, and leaves Ctrl-C to it.

    Native decoders write their warnings straight to file descriptor 2. That goes to nowhere from
    now on, while Python's own standard error stays what it was. What the kernels warn of (that they
    can't be kept, or can't run) is said once by the process that starts the workers.
    """
    warnings.simplefilter("ignore", RuntimeWarning)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    _silence_native_code()


@contextmanager
def spared_from_interrupts() -> Iterator[None]:
    """Let what is started in the block ignore Ctrl-C from its very first instruction.

    A terminal sends Ctrl-C to all its processes, and one that has not come as far as `settle_in`
    would print a traceback. Only the main thread may decide that; on another it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def without_working_directory() -> Iterator[None]:
    """Let Python processes that are started in the block import nothing from the current folder.

    What multiprocessing starts runs ``python -c``, which looks there first: a folder of
    photographs with a file ``signal.py`` would have it run. Of what is started as a command of
    ours, the option ``-P`` keeps that off.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _die_with_parent() -> None:
    # Linux only; elsewhere a worker notices the end of its pipe instead.
    parent = os.getppid()
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(1)


def _silence_native_code() -> None:
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(kept, "w", buffering=1)


def log_to_stderr(verbose: bool) -> None:
    """Send imgbatch's log, and nobody else's, to standard error."""
    import logging  # no worker of the local engine logs, and it takes 3 ms

    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s",
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        force=True,
    )
    # pika describes each failed attempt in full, with tracebacks; the links say it in a line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


def resident_bytes(pid: int, proc_folder: str = "/proc") -> int:
    """Return how much memory a process holds at present; 0 if it is gone or can't be told."""
    try:
        with open(f"{proc_folder}/{pid}/statm", encoding="ascii") as statm:  # noqa: PTH123
            pages = int(statm.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def describe_exit(exit_code: int | None) -> str:
    """Say in words how a process ended: by which signal, or with which code."""
    if exit_code is None:
        return "was killed"
    names = {int(item): item.name for item in signal.Signals}
    if exit_code < 0:
        return f"was killed by {names.get(-exit_code, f'signal {-exit_code}')}"
    return f"ended with exit code {exit_code}"
