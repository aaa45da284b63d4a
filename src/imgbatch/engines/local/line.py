"""Images that wait for a worker: the largest first, so that small ones fill the gaps at the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from imgbatch.engines.local.crew import Attempt

PATIENCE = 256
"""So many images may overtake one that waits. Of a folder none waits for ever, but of one that is
watched, and never empty of larger ones, some might."""


@dataclass(slots=True)
class Line:
    """Attempts in the order in which they came, each with how many had been taken by then."""

    _waiting: list[tuple[int, Attempt]] = field(default_factory=list)
    _taken: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Have images wait."""
        self._waiting.extend((self._taken, attempt) for attempt in attempts)

    def take(self) -> Attempt:
        """Return the largest, of equal ones the first; or the first, once overtaken enough."""
        sizes = [attempt.job.size_bytes for _, attempt in self._waiting]
        is_overdue = self._taken - self._waiting[0][0] >= PATIENCE
        _, attempt = self._waiting.pop(0 if is_overdue else sizes.index(max(sizes)))
        self._taken += 1
        return attempt

    def clear(self) -> None:
        """Let none wait any more."""
        self._waiting.clear()
