"""Images that wait for a worker: the largest first, so that small ones fill the gaps at the end."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from imgbatch.engines.local.crew import Attempt


@dataclass(slots=True)
class Line:
    """Attempts, taken by the size of their files; of equal ones, the first of the folder."""

    _heap: list[tuple[int, int, Attempt]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Have images wait."""
        for attempt in attempts:
            job = attempt.job
            heapq.heappush(self._heap, (-job.size_bytes, job.index, attempt))

    def take(self) -> Attempt:
        """Return the largest, which waits no more."""
        return heapq.heappop(self._heap)[2]

    def clear(self) -> None:
        """Let none wait any more."""
        self._heap.clear()
