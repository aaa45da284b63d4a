"""How fast a run is, and when it will end: honest guesses from what it did lately."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_WINDOW_SECONDS = 20.0
_ENOUGH_SECONDS = 2.0
_ENOUGH_SHARE = 0.01
"""Of the bytes: what the first small file says of a folder may be wrong a thousandfold."""


@dataclass(frozen=True, slots=True)
class _Sample:
    seconds: float
    images: int
    size_bytes: int


@dataclass(slots=True)
class Pace:
    """Speeds over the last twenty seconds.

    Over a window, since one large photograph after many small ones says little; and by bytes,
    not by images, since what is left may be larger than what is done.
    """

    _samples: deque[_Sample] = field(default_factory=deque)

    def note(self, seconds: float, images: int, size_bytes: int) -> None:
        """Note how much was done at a time of the monotonic clock."""
        self._samples.append(_Sample(seconds, images, size_bytes))
        while len(self._samples) > 2 and seconds - self._samples[1].seconds > _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def images_per_second(self) -> float:
        """Images that ended in a second."""
        first, last, seconds = self._span()
        return (last.images - first.images) / seconds

    @property
    def bytes_per_second(self) -> float:
        """Bytes of sources that ended in a second."""
        first, last, seconds = self._span()
        return (last.size_bytes - first.size_bytes) / seconds

    def seconds_left(self, bytes_left: int) -> float | None:
        """Return how long the rest will take at this speed; None while that is anyone's guess."""
        _, last, seconds = self._span()
        if seconds < _ENOUGH_SECONDS or self.bytes_per_second <= 0:
            return None
        if last.size_bytes < _ENOUGH_SHARE * bytes_left:
            return None
        return bytes_left / self.bytes_per_second

    def _span(self) -> tuple[_Sample, _Sample, float]:
        if not self._samples:
            nothing = _Sample(0.0, 0, 0)
            return nothing, nothing, 1.0
        first, last = self._samples[0], self._samples[-1]
        return first, last, max(last.seconds - first.seconds, 1e-3)
