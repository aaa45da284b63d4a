"""Pictures that move: frames as a viewer shows them, and how formats put them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Protocol

import numpy as np

from imgbatch.images.buffers import Buffers
from imgbatch.images.notes import Note
from imgbatch.images.picture import Picture, Pixels, Shape, Source
from imgbatch.recipe import DamagedPolicy


@dataclass(frozen=True, slots=True)
class Frame:
    """What a viewer shows for a time.

    Parameters
    ----------
    pixels
        The whole canvas, which its receiver may change.
    seconds
        For how long it is shown.
    notes
        What was noted on the way.
    """

    pixels: Pixels
    seconds: Fraction
    notes: tuple[Note, ...] = ()


class Animation(Source, Protocol):
    """A source of several frames; what its `decode` returns is the first."""

    @property
    def plays(self) -> int:
        """How often it is played; 0: for ever."""
        ...

    def frames(self, buffers: Buffers, damaged: DamagedPolicy) -> Iterator[Frame]:
        """Decode one frame after the other.

        Raises
        ------
        DamagedImage
            If one can't be decoded.
        """
        ...


def first_picture(animation: Animation, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
    """Decode the first frame alone, as a still picture."""
    first = next(animation.frames(buffers, damaged))
    return Picture(first.pixels, first.notes)


def ticks_between(start: Fraction, end: Fraction, per_second: int) -> int:
    """Return how long a frame is shown, in parts of a second.

    The moments, in seconds from the animation's start, are rounded and not the time between them,
    so that nothing drifts.
    """
    return round(per_second * end) - round(per_second * start)


class Disposal(Enum):
    """What becomes of a frame's area before the next one is drawn."""

    NONE = 0
    BACKGROUND = 1
    PREVIOUS = 2


@dataclass(frozen=True, slots=True)
class Patch:
    """A frame as it is stored: an area of the canvas.

    Parameters
    ----------
    pixels
        With as many channels as the canvas.
    left, top
        Where it lies on the canvas, in pixels.
    seconds
        For how long it is shown.
    disposal
        What becomes of it.
    is_blended
        Whether it is laid over what is there, as its alpha says, or replaces it.
    """

    pixels: Pixels
    left: int
    top: int
    seconds: Fraction
    disposal: Disposal = Disposal.NONE
    is_blended: bool = False


def composed(patches: Iterable[Patch], shape: Shape) -> Iterator[Frame]:
    """Yield the canvas, transparent at first, after each patch has been laid on it."""
    dtype = np.uint8 if shape.bits_per_sample == 8 else np.uint16
    canvas = np.zeros(shape.array_shape, dtype)
    for patch in patches:
        height, width = patch.pixels.shape[:2]
        area = canvas[patch.top : patch.top + height, patch.left : patch.left + width]
        before = area.copy() if patch.disposal is Disposal.PREVIOUS else None
        area[:] = over(patch.pixels, area) if patch.is_blended else patch.pixels
        yield Frame(canvas.copy(), patch.seconds)
        if before is not None:
            area[:] = before
        elif patch.disposal is Disposal.BACKGROUND:
            area[:] = 0


def over(upper: Pixels, lower: Pixels) -> Pixels:
    """Return pixels laid over others, both with alpha (W3C PNG, third edition, 13.16)."""
    opaque = int(np.iinfo(upper.dtype).max)
    coverage = upper[:, :, -1:]
    if ((coverage == 0) | (coverage == opaque)).all():
        return np.where(coverage, upper, lower)
    wide = np.uint64  # the product of three samples of 16 bits
    alpha, below = upper[:, :, -1:].astype(wide), lower[:, :, -1:].astype(wide)
    rest = below * (opaque - alpha)
    total = alpha * opaque + rest
    sums = upper[:, :, :-1] * (alpha * opaque) + lower[:, :, :-1] * rest
    mixed = np.empty_like(upper)
    mixed[:, :, :-1] = (sums + total // 2) // np.maximum(total, 1)
    mixed[:, :, -1:] = (total + opaque // 2) // opaque
    return mixed


def changed_area(before: Pixels, after: Pixels) -> tuple[slice, slice]:
    """Return rows and columns of the area in which two pictures differ; one pixel if nowhere."""
    differs = (before != after).any(axis=2)
    if not differs.any():
        return slice(0, 1), slice(0, 1)
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
