"""What a worker has in its hands, and has done, where its supervisor sees it at any time.

In memory that both share, rather than said over their pipe: two words for each image woke the
supervisor twice, and both processes spent 0.6 ms of an image's 5 on that. It stays readable when
the worker is dead, which is when it matters.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from typing import Any

_BATCH_BYTES = 256


class _Fields(ctypes.Structure):
    _fields_ = (
        ("since_seconds", ctypes.c_double),
        ("job", ctypes.c_int64),
        ("batch", ctypes.c_char * _BATCH_BYTES),
        ("images", ctypes.c_uint64),
        ("busy_seconds", ctypes.c_double),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """The image that a worker has in its hands, and since when."""

    batch: str
    job: int
    since_seconds: float


class Board:
    """The figures of one worker; it writes them, its supervisor reads them.

    Parameters
    ----------
    context
        What starts the worker, to which the board is given as an argument.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._fields: Any = context.RawValue(_Fields)

    def begin(self, batch: str, job: int) -> None:
        """Note that an image is taken up."""
        self._fields.batch = batch.encode()[:_BATCH_BYTES]
        self._fields.job = job
        self._fields.since_seconds = time.monotonic()  # last: it says that the others hold

    def end(self, seconds: float) -> None:
        """Note that it is done, and how long it took."""
        self._fields.since_seconds = 0.0
        self._fields.images += 1
        self._fields.busy_seconds += seconds

    @property
    def held(self) -> Held | None:
        """The image at hand."""
        since_seconds = self._fields.since_seconds
        if not since_seconds:
            return None
        return Held(self._fields.batch.decode(errors="replace"), self._fields.job, since_seconds)

    @property
    def images(self) -> int:
        """How many images were done."""
        return int(self._fields.images)

    @property
    def busy_seconds(self) -> float:
        """How long they took together."""
        return float(self._fields.busy_seconds)
