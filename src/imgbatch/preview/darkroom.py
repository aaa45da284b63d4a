"""Photographs decoded once and kept, so that a moved slider costs arithmetic only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from imgbatch.errors import ImgbatchError
from imgbatch.images.display import (
    Photograph,
    for_screen,
    full_pixels,
    open_photograph,
    scaled_pixels,
    to_jpeg,
)
from imgbatch.images.limits import Limits
from imgbatch.preview.rendering import (
    Box,
    Histogram,
    adjusted,
    adjusted_part,
    histogram_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from pathlib import Path

    from imgbatch.adjustment import Adjustment
    from imgbatch.images.picture import Pixels

PRINT_QUALITY = 90
LARGEST_SCREEN_PIXELS = 2560
LARGEST_AHEAD_PIXELS = 60_000_000
"""Photographs above this are decoded in full only once someone zooms in."""

Value = TypeVar("Value")


class Overtaken(Exception):
    """The same page has asked for something newer meanwhile; nobody waits for this answer."""


class Memo(Generic[Value]):
    """The newest few results, each computed once however many threads ask for it.

    A computation that raises is not kept.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Future[Value]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the value kept for `key`, computing it first if there is none."""
        with self._lock:
            future = self._kept.get(key)
            is_ours = future is None
            if future is None:
                future = self._kept[key] = Future()
            self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        if is_ours:
            self._fulfil(key, future, compute)
        return future.result()

    def _fulfil(self, key: Hashable, future: Future[Value], compute: Callable[[], Value]) -> None:
        try:
            future.set_result(compute())
        except BaseException as error:
            with self._lock:
                if self._kept.get(key) is future:
                    del self._kept[key]
            future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Print:
    """A picture for the browser, and the histogram of its pixels."""

    jpeg: bytes
    histogram: Histogram


def read_photograph(path: Path, limits: Limits) -> Photograph:
    """Read a file and check its structure.

    Raises
    ------
    ImageError
        If it is no image that imgbatch reads, or is damaged.
    OSError
        If it can't be read.
    """
    return open_photograph(path.read_bytes(), limits)


class Darkroom:
    """All that the page asks for, by the photograph's number. Safe to use from many threads.

    Parameters
    ----------
    paths
        The photographs, in their order on the page.
    limits
        How large one may be.
    """

    def __init__(self, paths: Sequence[Path], limits: Limits | None = None) -> None:
        self.paths = tuple(paths)
        self._limits = limits or Limits()
        self._photographs: Memo[Photograph] = Memo(4)
        self._screens: Memo[Pixels] = Memo(6)
        self._full: Memo[Pixels] = Memo(1)
        self._decoding = threading.Lock()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._current = -1

    def photograph(self, index: int) -> Photograph:
        """Return a photograph's file, read and checked."""
        path = self.paths[index]
        return self._photographs.get(self._key(index), lambda: read_photograph(path, self._limits))

    def whole(
        self, index: int, room: tuple[int, int], adjustment: Adjustment, wanted: Callable[[], None]
    ) -> Print:
        """Return the whole photograph, adjusted after it was scaled to the `room` on the screen.

        `wanted` is called before each costly step; it raises `Overtaken` to end the work.
        """
        room = (min(room[0], LARGEST_SCREEN_PIXELS), min(room[1], LARGEST_SCREEN_PIXELS))
        if index != self._current:
            self._current = index
            self._ahead.submit(self._prepare, index, room)
        pixels = self._screen(index, room, wanted)
        wanted()
        return self._print(index, adjusted(pixels, adjustment))

    def detail(
        self, index: int, box: Box, adjustment: Adjustment, wanted: Callable[[], None]
    ) -> Print:
        """Return a part of the photograph in full size; equal to that part of the output."""
        pixels = self._whole_pixels(index, wanted)
        wanted()
        height, width = pixels.shape[:2]
        return self._print(index, adjusted_part(pixels, box.within(width, height), adjustment))

    def close(self) -> None:
        """Stop decoding ahead."""
        self._ahead.shutdown(wait=False, cancel_futures=True)

    def _key(self, index: int) -> tuple[int, int, int]:
        state = self.paths[index].stat()
        return index, state.st_mtime_ns, state.st_size

    def _print(self, index: int, pixels: Pixels) -> Print:
        screen = for_screen(pixels)
        jpeg = to_jpeg(screen, PRINT_QUALITY, icc=self.photograph(index).icc)
        return Print(jpeg, histogram_of(screen))

    def _screen(self, index: int, room: tuple[int, int], wanted: Callable[[], None]) -> Pixels:
        def develop() -> Pixels:
            with self._decoding:
                wanted()
                return scaled_pixels(self.photograph(index), *room)

        return self._screens.get((self._key(index), room), develop)

    def _whole_pixels(self, index: int, wanted: Callable[[], None]) -> Pixels:
        def develop() -> Pixels:
            with self._decoding:
                wanted()
                return full_pixels(self.photograph(index))

        return self._full.get(self._key(index), develop)

    def _prepare(self, index: int, room: tuple[int, int]) -> None:
        """Decode what is likely to be asked for next: the neighbours, and this one in full."""

        def wanted() -> None:
            if index != self._current:
                raise Overtaken

        for neighbour in (index + 1, index - 1):
            if 0 <= neighbour < len(self.paths):
                with suppress(ImgbatchError, OSError, Overtaken):
                    self._screen(neighbour, room, wanted)
        with suppress(ImgbatchError, OSError, Overtaken):
            shape = self.photograph(index).source.shape
            if shape.width_pixels * shape.height_pixels <= LARGEST_AHEAD_PIXELS:
                self._whole_pixels(index, wanted)
