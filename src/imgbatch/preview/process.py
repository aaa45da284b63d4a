"""The process that decodes photographs, seen from the page's server: asked, watched, replaced."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgbatch.errors import MAX_ATTEMPTS, WorkerFailed
from imgbatch.images.limits import Limits
from imgbatch.workers import CODECS
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import WorkerExit, WorkerPool
from imgbatch.workers.process import Ready, worst_case_bytes

RENDERER = "imgbatch.preview.renderer:main"
PRELOAD = ("imgbatch.preview.renderer", "cv2", *CODECS)
TIME_LIMIT_SECONDS = 60.0
KEPT_FILES = 4
AHEAD = "ahead"
"""The batch of which a renderer's status speaks while it decodes what may be asked for next."""
_LOOK_UP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    def within(self, width_pixels: int, height_pixels: int) -> Box:
        """Return the part of the box that lies on an image of this size, one pixel at least."""
        x = min(max(self.x, 0), width_pixels - 1)
        y = min(max(self.y, 0), height_pixels - 1)
        right = min(max(self.x + self.width, x + 1), width_pixels)
        bottom = min(max(self.y + self.height, y + 1), height_pixels)
        return Box(x, y, right - x, bottom - y)


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """A picture for the browser, and how the luma of its pixels is spread.

    Parameters
    ----------
    jpeg
        The picture's file.
    histogram
        For the page: ``bins``, 64 shares of 10,000 pixels, from black to white; and ``black`` and
        ``white``, shares, 0..1, of the pixels that are wholly so and show no detail.
    """

    jpeg: bytes
    histogram: Mapping[str, Any]


class RenderingProcess:
    """A process that answers one request after another; it is replaced when it dies.

    Safe to use from many threads.

    Parameters
    ----------
    limits
        How large a photograph may be.
    time_limit_seconds
        How long one answer may take.
    """

    def __init__(
        self, limits: Limits = Limits(), time_limit_seconds: float = TIME_LIMIT_SECONDS
    ) -> None:
        self._lock = threading.Lock()
        self._is_closing = False
        self._pool = WorkerPool(
            ForkServer(PRELOAD),
            RENDERER,
            (limits,),
            time_limit_seconds=time_limit_seconds,
            memory_bytes=worst_case_bytes(limits, KEPT_FILES),
        )

    def ask(self, what: str, path: Path, *arguments: Any) -> Any:
        """Return what a method of `imgbatch.preview.renderer.Renderer` makes of a photograph.

        Raises
        ------
        ImageError
            If it can't be decoded, or its decoder crashed or took too long.
        OSError
            If its file can't be read.
        """
        with self._lock:
            answer = self._answer((what, path, *arguments))
            while isinstance(answer, WorkerExit) and answer.figures.batch == AHEAD:
                answer = self._answer((what, path, *arguments))  # it died of another photograph
        if isinstance(answer, WorkerExit):
            raise WorkerFailed(answer.code, f"the process that decodes it {answer.how}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, request: tuple[Any, ...]) -> Any:
        for _ in self._pool.listen(0.0):  # it may have died meanwhile
            pass
        while self._pool.failed_starts < MAX_ATTEMPTS and not self._is_closing:
            self._pool.fill(1)
            for worker in self._pool.workers:
                if not worker.given:
                    worker.give(request)
            for worker, message in self._pool.listen(_LOOK_UP_SECONDS):
                if not isinstance(message, Ready):
                    worker.given.clear()
                    return message
            self._pool.look_after()
        return WorkerExit(self._pool.problem)

    def close(self) -> None:
        """End it, also while it answers."""
        self._is_closing = True
        with self._lock:
            self._pool.close()
