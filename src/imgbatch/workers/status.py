"""What a worker has in hand, and has done, where its pool sees it at any time.

In memory that both share, rather than said over their pipe: two messages for each image woke the
other process twice, and both spent 0.6 ms of an image's 5 on that. It stays readable when the
worker is dead, which is when it matters.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import time
import zlib
from bisect import bisect_left
from typing import IO, Any, NamedTuple

from imgbatch.histograms import BUCKETS_SECONDS

_RECORD = struct.Struct("@256s120sqdqdqq")
_CHECKSUM = struct.Struct("@I")
_LOOKS = 100
MOST_HISTOGRAMS = 48
_HISTOGRAMS = ctypes.c_double * (len(BUCKETS_SECONDS) + 2) * MOST_HISTOGRAMS
"""Each: how often each bucket was met, how often none was, and the sum of all seconds."""
_RECORD_BYTES = _RECORD.size + _CHECKSUM.size
_HISTOGRAMS_OFFSET = -(-_RECORD_BYTES // 8) * 8
_SIZE_BYTES = _HISTOGRAMS_OFFSET + ctypes.sizeof(_HISTOGRAMS)


class Figures(NamedTuple):
    """What a worker says of itself.

    Parameters
    ----------
    batch, job
        The image that it has in hand; -1 is none.
    waits_for
        What it waits for that is not its image's fault: a kernel to be compiled, or a store.
    since_seconds
        The monotonic time since when it has the image; or since when it waits or no longer does,
        if that is later.
    images, busy_seconds
        How many images were done, and how long they took together.
    resident_bytes
        How much memory it held when it was done with the last one.
    pid
        Its process id; 0 until it is known.
    """

    batch: str = ""
    waits_for: str = ""
    job: int = -1
    since_seconds: float = 0.0
    images: int = 0
    busy_seconds: float = 0.0
    resident_bytes: int = 0
    pid: int = 0


class WorkerStatus:
    """The figures of one worker; it writes them, its pool reads them.

    Parameters
    ----------
    descriptor
        Of the file that both map, from `shared_file`.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _SIZE_BYTES)
        self._histograms = _HISTOGRAMS.from_buffer(self._memory, _HISTOGRAMS_OFFSET)
        self._figures = Figures()

    def begin(self, batch: str, job: int) -> None:
        """Note that an image is taken up."""
        self._note(batch=batch, job=job, since_seconds=time.monotonic())

    def end(self, seconds: float) -> None:
        """Note that it is done, and how long it took."""
        self._note(
            batch="",
            job=-1,
            images=self._figures.images + 1,
            busy_seconds=self._figures.busy_seconds + seconds,
            resident_bytes=memory_of(os.getpid())[1],
        )

    def observe(self, histogram: int, seconds: float) -> None:
        """Count how long something took, in one of `MOST_HISTOGRAMS` histograms."""
        counts = self._histograms[histogram]
        counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        counts[len(BUCKETS_SECONDS) + 1] += seconds

    @property
    def histograms(self) -> list[list[float]]:
        """Each as often as each bucket was met, and longer times, and the sum of all seconds."""
        return [histogram[:] for histogram in self._histograms]

    def note_process(self) -> None:
        """Note which process this is."""
        self._note(pid=os.getpid())

    def note_waiting(self, why: str) -> None:
        """Note what is waited for; empty when that is over."""
        self._note(waits_for=why, since_seconds=time.monotonic())

    def _note(self, **changes: Any) -> None:
        self._figures = self._figures._replace(**changes)
        batch, waits_for, *others = self._figures
        record = _RECORD.pack(batch.encode(), waits_for.encode(), *others)
        self._memory[:_RECORD_BYTES] = record + _CHECKSUM.pack(zlib.crc32(record))

    def read(self) -> Figures:
        """Return what was last written as a whole."""
        for _ in range(_LOOKS):  # by the checksum, no half of what is just being written is taken
            content = self._memory[:_RECORD_BYTES]
            record = content[: _RECORD.size]
            if content == record + _CHECKSUM.pack(zlib.crc32(record)):
                *texts, job, since, images, busy, resident, pid = _RECORD.unpack(record)
                batch, waits_for = (text.rstrip(b"\0").decode(errors="replace") for text in texts)
                self._figures = Figures(batch, waits_for, job, since, images, busy, resident, pid)
                break
        return self._figures


def shared_file() -> IO[bytes]:
    """Return a nameless file in memory that holds a status."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("imgbatch-worker-status"), "r+b", 0)
    else:  # a Python that was built for older systems
        import tempfile

        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # the caller closes it
    file.truncate(_SIZE_BYTES)
    return file


def memory_of(pid: int) -> tuple[int, int]:
    """Return a process's address space and resident memory in bytes; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:  # noqa: PTH123
            mapped, resident = map(int, statm.read().split()[:2])
    except (OSError, ValueError):
        return 0, 0
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return mapped * page_bytes, resident * page_bytes
