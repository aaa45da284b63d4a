"""Where photographs are decoded: a process of its own, which may crash, hang or be out of memory.

It keeps what it has decoded, so that a moved slider costs arithmetic only, and decodes what is
likely to be asked for next while it waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgbatch.errors import Code, ImgbatchError, LimitExceeded
from imgbatch.images.display import Photograph, full_pixels, open_photograph, scaled_pixels
from imgbatch.images.failures import is_out_of_memory
from imgbatch.images.limits import Limits
from imgbatch.preview.process import AHEAD, KEPT_FILES, Box, RenderedImage
from imgbatch.preview.rendering import adjusted, adjusted_part, rendered
from imgbatch.preview.sheet import contact_sheet, variants
from imgbatch.workers.process import Ready

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from imgbatch.adjustment import Adjustment
    from imgbatch.workers.status import WorkerStatus

LARGEST_SCREEN_PIXELS = 2560
LARGEST_AHEAD_PIXELS = 60_000_000
"""Photographs above this are decoded in full only once someone zooms in."""
_IDLE_SECONDS = 0.2
"""Before the next photograph is decoded ahead, so that a slider that moves is never behind one."""
_File = tuple[Path, int, int]
"""Of a photograph, with time and size, by which it is noticed that it has changed."""


class Renderer:
    """Makes all that the page shows, and keeps what that was made of.

    Its methods raise ImageError if a photograph can't be decoded, OSError if it can't be read.
    """

    def __init__(self, limits: Limits) -> None:
        self._opened = lru_cache(KEPT_FILES)(partial(_open, limits))
        self._screen = lru_cache(6)(lambda file, *room: scaled_pixels(self._opened(file), *room))
        self._full = lru_cache(1)(lambda file: full_pixels(self._opened(file)))
        self.ahead: deque[Callable[[], object]] = deque()

    def size(self, path: Path) -> tuple[int, int]:
        """Return a photograph's width and height, upright."""
        photograph = self._opened(_file(path))
        return photograph.width, photograph.height

    def whole(
        self,
        path: Path,
        adjustment: Adjustment,
        width: int,
        height: int,
        neighbours: Sequence[Path] = (),
    ) -> RenderedImage:
        """Return a photograph that fits the screen, adjusted after it was scaled.

        `neighbours` are likely to be asked for next.
        """
        room = min(width, LARGEST_SCREEN_PIXELS), min(height, LARGEST_SCREEN_PIXELS)
        file = _file(path)
        photograph = self._opened(file)
        self.ahead.clear()
        for other in neighbours:
            self.ahead.append(partial(lambda path: self._screen(_file(path), *room), other))
        if photograph.width * photograph.height <= LARGEST_AHEAD_PIXELS:
            self.ahead.append(partial(self._full, file))
        return rendered(adjusted(self._screen(file, *room), adjustment), photograph.icc)

    def detail(self, path: Path, adjustment: Adjustment, box: Box) -> RenderedImage:
        """Return a part of a photograph in full size; equal to that part of the output."""
        file = _file(path)
        photograph = self._opened(file)
        box = box.within(photograph.width, photograph.height)
        return rendered(adjusted_part(self._full(file), box, adjustment), photograph.icc)

    def sheet(self, path: Path, presets: Mapping[str, Adjustment]) -> bytes:
        """Return a contact sheet, as a JPEG."""
        return contact_sheet(self._opened(_file(path)), variants(presets))


def main(limits: Limits, pipe: Connection, status: WorkerStatus) -> None:
    """Answer requests until None comes; with an exception where there is no other answer."""
    renderer = Renderer(limits)
    pipe.send(Ready())
    while True:
        if renderer.ahead and not pipe.poll(_IDLE_SECONDS):
            status.begin(AHEAD, 0)
            _result_of(renderer.ahead.popleft())
            status.end(0.0)
            continue
        request = pipe.recv()
        if request is None:
            return
        what, *arguments = request
        pipe.send(_result_of(partial(getattr(renderer, what), *arguments)))


def _result_of(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (ImgbatchError, OSError) as error:
        return error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return LimitExceeded(Code.OUT_OF_MEMORY, "it needs more memory than there is for it")


def _file(path: Path) -> _File:
    seen = path.stat()
    return path, seen.st_mtime_ns, seen.st_size


def _open(limits: Limits, file: _File) -> Photograph:
    path, _, size_bytes = file
    limits.check_bytes(size_bytes)
    with path.open("rb") as content:
        return open_photograph(content.read(size_bytes), limits)
