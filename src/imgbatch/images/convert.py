"""Pixels for a format that can't hold what they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imgbatch.images.notes import Note
from imgbatch.images.picture import Pixels


def without_alpha_in_8_bits(pixels: Pixels) -> tuple[Pixels, list[Note]]:
    """Return 8-bit grey or RGB pixels, transparent ones laid over white, and notes.

    White is what nearly every viewer and page shows behind a transparent picture; what lies
    under full transparency was never meant to be seen.
    """
    notes = []
    if pixels.shape[2] in (2, 4):
        pixels = over_background(pixels, np.iinfo(pixels.dtype).max)
        notes.append(Note.ALPHA_FLATTENED)
    if pixels.dtype == np.uint16:
        pixels = in_8_bits(pixels)
        notes.append(Note.DEPTH_REDUCED)
    return pixels, notes


def in_8_bits(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return pixels of 16 bits rounded to 8, row by row: each takes 4 bytes a sample meanwhile."""
    reduced = np.empty(pixels.shape, np.uint8)
    for source, target in zip(pixels, reduced, strict=True):
        target[:] = (source.astype(np.uint32) + 128) // 257
    return reduced


def over_background(pixels: Pixels, background: npt.ArrayLike) -> Pixels:
    """Return the colours, mixed with those behind them where they are transparent.

    Parameters
    ----------
    pixels
        ``(height, width, 2 or 4)``, alpha last.
    background
        Levels of the same depth, of a shape that spreads over ``(height, width, 1)``.
    """
    opaque = int(np.iinfo(pixels.dtype).max)
    # 65535 squared is just below 2**32, and rounding adds half of 65535: 64 bits for 16.
    wide = np.uint32 if opaque == 255 else np.uint64
    mixed = np.empty((*pixels.shape[:2], pixels.shape[2] - 1), pixels.dtype)
    behind = np.broadcast_to(background, (*pixels.shape[:2], 1))
    for source, below, target in zip(pixels, behind, mixed, strict=True):
        alpha = source[:, -1:].astype(wide)
        sums = source[:, :-1] * alpha + (opaque - alpha) * below
        target[:] = (sums + opaque // 2) // opaque
    return mixed
