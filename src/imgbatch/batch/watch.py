"""Files of a folder as they come, each once it is completely written.

A file is complete when no process has it open for writing, which the kernel tells by refusing a
read lease on it, and when it has not changed for half a second. Where there are no leases (network
file systems, files of other users) it must not have changed for five seconds.

New files are found by looking through the folder: when the kernel says that something happened
in it (inotify, through watchfiles), but for a twentieth of the time at most. Since it may not say
so, on a network file system or when there are more folders than it watches, that is done once a
minute as well, and every two seconds where the kernel says nothing at all.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgbatch.batch.scan import Found, LeftOut, Selection, look_at, walk

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

SETTLED_SECONDS = 0.5
SETTLED_WITHOUT_LEASE_SECONDS = 5.0
_RESCAN_SECONDS = 60.0
_RESCAN_WITHOUT_NOTICE_SECONDS = 2.0
_LOOK_UP_SECONDS = 0.2
_PAUSES = 20
"""Times that looking through the folder took, until that is done again."""


@dataclass(slots=True)
class Waiting:
    """Files that may still be being written: what they were when they last changed, and when.

    Parameters
    ----------
    base
        The folder to which names are relative.
    """

    base: Path
    _seen: dict[str, tuple[Found, float]] = field(default_factory=dict)

    def touch(self, name: str, now: float) -> None:
        """Look at a file that may have changed."""
        found = look_at(self.base, name)
        before = self._seen.get(name)
        if before is None or before[0] != found:
            self._seen[name] = (found, now)

    def complete(self, now: float) -> list[Found]:
        """Return, and forget, the files that are completely written; forget those that are gone."""
        ready = []
        for name in list(self._seen):
            self.touch(name, now)
            found, since = self._seen[name]
            path = self.base / name
            if not path.exists():
                del self._seen[name]
            elif now - since >= SETTLED_SECONDS:
                written = is_being_written(path)
                unknown = written is None and now - since < SETTLED_WITHOUT_LEASE_SECONDS
                if not (written or unknown):
                    ready.append(found)
                    del self._seen[name]
        return ready


def watch(
    root: Path,
    selection: Selection,
    left_out: LeftOut,
    known: Callable[[Found], bool],
) -> Iterator[Found | None]:
    """Yield the files of a folder for ever, each when it is complete, and again if it changes.

    Parameters
    ----------
    left_out
        What lies below it and is the run's own.
    known
        Whether a file, as it is now, was yielded before.

    Yields
    ------
    Found or None
        None a few times a second, so that the caller can end it.
    """
    from watchfiles._rust_notify import RustNotify

    waiting = Waiting(root)
    longest_pause = _RESCAN_SECONDS
    try:
        # The kernel gives no notices of what is below a link.
        notices = RustNotify([str(root.resolve())], False, False, 0, True, True)
    except (OSError, RuntimeError):
        notices, longest_pause = None, _RESCAN_WITHOUT_NOTICE_SECONDS
    began = took = -math.inf
    is_noticed = False
    while True:
        now = time.monotonic()
        if now - began >= (took * _PAUSES if is_noticed else longest_pause):
            began, is_noticed = now, False
            for name, error in walk(root, selection, left_out):
                if error is None and not known(look_at(root, name)):
                    waiting.touch(name, now)
            took = time.monotonic() - now
        yield from (found for found in waiting.complete(now) if not known(found))
        yield None
        is_noticed |= _noticed(notices)


def is_being_written(path: Path) -> bool | None:
    """Whether a process has a file open for writing; None if the kernel does not tell us."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # The kernel tells of a writer that comes just now by a signal; this one is ignored by all
        # that do not wait for it, where SIGIO, which it sends unasked, would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)
    return False


def _noticed(notices: RustNotify | None) -> bool:
    """Wait a moment; return whether something happened meanwhile, as far as the kernel says."""
    if notices is None:
        time.sleep(_LOOK_UP_SECONDS)
        return False
    milliseconds = int(_LOOK_UP_SECONDS * 1000)
    changes = notices.watch(milliseconds, milliseconds // 4, milliseconds, None)
    return isinstance(changes, set)  # and no word for why there are none
