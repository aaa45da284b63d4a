"""Drawing jobs in a thread of its own, since the next may be long in coming."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable

from imgbatch.batch.model import Job

_LOOK_UP_SECONDS = 0.1


class Feed:
    """Jobs drawn ahead of those who need them, `room` at most.

    Parameters
    ----------
    jobs
        Where they come from.
    room
        How many may wait here.
    """

    def __init__(self, jobs: Iterable[Job], room: int) -> None:
        self._jobs = jobs
        self._queue: queue.Queue[Job] = queue.Queue(room)
        self._closed = threading.Event()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._draw, name="imgbatch-feed", daemon=True)
        self._thread.start()

    @property
    def exhausted(self) -> bool:
        """Whether nothing is here and nothing will come."""
        return self._ended.is_set() and self._queue.empty()

    def take(self) -> Job | None:
        """Return the next job if one is here, None if not.

        Raises
        ------
        BaseException
            What drawing raised, once the jobs before it are taken.
        """
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            if self._error is not None and self.exhausted:
                raise self._error from None
            return None

    def waken(self) -> None:
        """Take note that `wake` was readable."""
        os.eventfd_read(self.wake)

    def close(self) -> None:
        """Draw no more."""
        self._closed.set()

    def end(self) -> None:
        """Close, and wait a moment for the thread, which may be waiting for a job itself."""
        self.close()
        self._thread.join(_LOOK_UP_SECONDS * 5)
        if not self._thread.is_alive():
            os.close(self.wake)

    def _draw(self) -> None:
        try:
            for job in self._jobs:
                self._put(job)
                if self._closed.is_set():
                    break
        except BaseException as error:
            self._error = error
        self._ended.set()
        os.eventfd_write(self.wake, 1)

    def _put(self, job: Job) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(job, timeout=_LOOK_UP_SECONDS)
            except queue.Full:
                continue
            os.eventfd_write(self.wake, 1)
            return
