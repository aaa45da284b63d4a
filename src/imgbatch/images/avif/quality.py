"""The size of an AVIF's frames, and the quality of the first by its quantiser.

Headers are read as far as it stands in them (AV1 Bitstream and Decoding Process, 5.5 and 5.9), and
only where they are such as encoders write for a first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

_SEQUENCE_HEADER, _FRAME_HEADERS = 1, (3, 6)
_BY_FRAME = 2
"""A sequence header's word on a tool: each frame says whether it is used."""
_LARGEST_TILE_WIDTH, _LARGEST_TILE_PIXELS, _MOST_TILES = 4096, 4096 * 2304, 64

Take = Callable[[int], int]
"""Returns the number in the next so many bits; behind the data are zeros."""


@dataclass(slots=True)
class _Sequence:
    """What a frame's header depends on."""

    is_reduced: bool
    size_bits: int
    width: int
    height: int
    frame_id_bits: int
    superblock: int
    screen_tools: int = _BY_FRAME
    integer_motion: int = _BY_FRAME
    order_bits: int = 0
    has_times: bool = False
    has_superres: bool = False


_QUALITIES = (5, 20, 40, 50, 60, 75, 80, 90, 95, 100)
_FIRST_QUANTISERS = {
    False: (250, 217, 171, 148, 120, 77, 61, 33, 15, 0),
    True: (228, 181, 139, 118, 91, 57, 47, 21, 11, 0),
}
"""What the encoder, libaom, gives the first frame at these qualities: of stills, of animations."""


def size_of(coded: bytes) -> tuple[int, int] | None:
    """Return width and height of the frames of a stream of AV1; None if it begins unusually."""
    for kind, body in _units(coded):
        if kind == _SEQUENCE_HEADER:
            sequence = _sequence(_reader(body))
            return sequence.width, sequence.height
    return None


def quality_of(coded: bytes, *, is_animated: bool) -> int | None:
    """Return the quality, 0..100, of a stream of AV1; None if it begins in an unusual way."""
    sequence = None
    for kind, body in _units(coded):
        if kind == _SEQUENCE_HEADER and sequence is None:
            sequence = _sequence(_reader(body))
        elif kind in _FRAME_HEADERS and sequence is not None:
            quantiser = _quantiser(_reader(body), sequence)
            table = _FIRST_QUANTISERS[is_animated][::-1]
            return (
                None if quantiser is None else round(np.interp(quantiser, table, _QUALITIES[::-1]))
            )
    return None


def _units(coded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each unit (OBU)."""
    position = 0
    while position < len(coded):
        head = coded[position]
        position += 2 if head & 4 else 1
        size = len(coded) - position
        if head & 2:
            size = 0
            for place in range(0, 56, 7):
                byte = coded[position] if position < len(coded) else 0
                size |= (byte & 127) << place
                position += 1
                if byte < 128:
                    break
        yield head >> 3 & 15, coded[position : position + min(size, 200)]
        position += size


def _reader(body: bytes) -> Take:
    number, left = int.from_bytes(body) << 512, 8 * len(body) + 512

    def take(bits: int) -> int:
        nonlocal left
        left = max(left - bits, 0)
        return number >> left & (1 << bits) - 1

    return take


def _sequence(take: Take) -> _Sequence:
    take(4)
    is_reduced, has_times = bool(take(1)), False
    if is_reduced:
        take(5)
    else:
        has_times = bool(take(1))
        delay_bits = _skip_times(take) if has_times else 0
        has_delays = take(1)
        for _ in range(take(5) + 1):
            take(12)
            take(1 if take(5) > 7 else 0)
            take(2 * delay_bits + 1 if delay_bits and take(1) else 0)
            take(4 if has_delays and take(1) else 0)
    width_bits, height_bits = take(4) + 1, take(4) + 1
    width, height = take(width_bits) + 1, take(height_bits) + 1
    has_frame_ids = not is_reduced and take(1)
    frame_id_bits = take(4) + 2 + take(3) + 1 if has_frame_ids else 0
    superblock = 128 if take(1) else 64
    take(2)
    found = _Sequence(
        is_reduced, width_bits + height_bits, width, height, frame_id_bits, superblock
    )
    found.has_times = has_times
    if not is_reduced:
        take(4)
        has_order = take(1)
        take(2 * has_order)
        found.screen_tools = _BY_FRAME if take(1) else take(1)
        if found.screen_tools:
            found.integer_motion = _BY_FRAME if take(1) else take(1)
        found.order_bits = take(3) + 1 if has_order else 0
    found.has_superres = bool(take(1))
    return found


def _skip_times(take: Take) -> int:
    """Read over times, and return how many bits a decoder's delay has; 0 if there is none."""
    take(64)
    if take(1):
        zeros = 0
        while zeros < 32 and not take(1):
            zeros += 1
        take(zeros if zeros < 32 else 0)
    if not take(1):
        return 0
    delay_bits = take(5) + 1
    take(32 + 5 + 5)
    return delay_bits


def _quantiser(take: Take, sequence: _Sequence) -> int | None:
    """Return the base quantiser, 0..255, of a key frame that is shown."""
    has_own_size = False
    if sequence.has_times or (not sequence.is_reduced and take(4) != 0b0001):
        return None
    keeps_probabilities = take(1)
    screen_tools = take(1) if sequence.screen_tools == _BY_FRAME else sequence.screen_tools
    if screen_tools and sequence.integer_motion == _BY_FRAME:
        take(1)
    take(sequence.frame_id_bits)
    if not sequence.is_reduced:
        has_own_size = bool(take(1))
    take(sequence.order_bits)
    take(sequence.size_bits if has_own_size else 0)
    if sequence.has_superres and take(1):
        return None
    take(32 if take(1) else 0)
    take(1 if screen_tools else 0)
    take(0 if sequence.is_reduced or keeps_probabilities else 1)
    return take(8) if _skip_tiles(take, sequence) else None


def _skip_tiles(take: Take, sequence: _Sequence) -> bool:
    """Read over how the picture is divided; False if unevenly."""
    side = sequence.superblock
    columns, rows = (-(-pixels // side) for pixels in (sequence.width, sequence.height))
    least = max(
        _log2(_LARGEST_TILE_WIDTH // side, columns),
        _log2(_LARGEST_TILE_PIXELS // side**2, columns * rows),
    )
    if not take(1):
        return False
    across = _log2(_LARGEST_TILE_WIDTH // side, columns)
    while across < _log2(1, min(columns, _MOST_TILES)) and take(1):
        across += 1
    down = max(least - across, 0)
    while down < _log2(1, min(rows, _MOST_TILES)) and take(1):
        down += 1
    take(across + down + 2 if across + down else 0)
    return True


def _log2(unit: int, target: int) -> int:
    """Return how often a unit must be doubled to reach the target."""
    return max((-(-target // unit) - 1).bit_length(), 0)
