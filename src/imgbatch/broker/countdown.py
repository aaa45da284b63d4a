"""Waiting for the last of several things that end in other threads."""

from __future__ import annotations

import threading
from enum import IntEnum
from typing import Generic, TypeVar

Outcome = TypeVar("Outcome", bound=IntEnum)


class Countdown(Generic[Outcome]):
    """How many of several things have not ended yet, and the worst outcome so far.

    Parameters
    ----------
    best
        The outcome while none has ended otherwise; greater values are worse.
    count
        How many things there are at first.
    """

    __slots__ = ("_lock", "_open", "worst")

    def __init__(self, best: Outcome, count: int = 1) -> None:
        self._lock = threading.Lock()
        self._open = count
        self.worst = best

    def add(self) -> None:
        """Wait for one more; only before the last has ended."""
        with self._lock:
            self._open += 1

    def end(self, outcome: Outcome) -> bool:
        """Note that one has ended, and how; return whether it was the last."""
        with self._lock:
            self._open -= 1
            self.worst = max(self.worst, outcome)
            return self._open == 0
