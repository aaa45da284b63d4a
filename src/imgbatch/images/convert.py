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
        pixels = _over_white(pixels)
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


def _over_white(pixels: Pixels) -> Pixels:
    """Return the colours, mixed with white where they are transparent, rounded to nearest."""
    white = int(np.iinfo(pixels.dtype).max)
    # 65535 squared is just below 2**32, and rounding adds half of 65535: 64 bits for 16.
    wide = np.uint32 if white == 255 else np.uint64
    flattened = np.empty((*pixels.shape[:2], pixels.shape[2] - 1), pixels.dtype)
    for source, target in zip(pixels, flattened, strict=True):
        alpha = source[:, -1:].astype(wide)
        mixed = source[:, :-1] * alpha + (white - alpha) * white
        target[:] = (mixed + white // 2) // white
    return flattened
