"""Quantisation and Huffman tables: how a JPEG was encoded, so that it can be encoded so again.

The example tables are those of ITU-T T.81, annex K; their scaling by a quality from 1 to 100
is that of the Independent JPEG Group's library, which nearly all encoders follow.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

QuantisationTable = tuple[int, ...]
"""64 divisors, row by row (not in zigzag order)."""

_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip

STANDARD_HUFFMAN_COUNTS = frozenset(
    bytes.fromhex(counts)
    for counts in (
        "00010501010101010100000000000000",  # DC luma: codes of each length, 1 to 16 bits
        "00030101010101010101010000000000",  # DC chroma
        "0002010303020403050504040000017d",  # AC luma
        "00020102040403040705040400010277",  # AC chroma
    )
)
"""The code lengths of annex K's tables; an encoder that optimises its tables has others."""


def _zigzag() -> tuple[int, ...]:
    """Return the row-by-row position of each coefficient in the order files store them."""
    diagonals = sorted(
        ((row, column) for row in range(8) for column in range(8)),
        key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
    )
    return tuple(row * 8 + column for row, column in diagonals)


ZIGZAG = _zigzag()


def parse_quantisation_tables(body: bytes) -> dict[int, QuantisationTable] | None:
    """Return the tables in a DQT segment's body by their number, None if it is malformed."""
    tables: dict[int, QuantisationTable] = {}
    position = 0
    while position < len(body):
        number, wide = body[position] & 15, body[position] >> 4
        size = 64 << wide
        stored = body[position + 1 : position + 1 + size]
        if wide > 1 or number > 3 or len(stored) != size:
            return None
        tables[number] = _row_by_row(stored)
        position += 1 + size
    return tables


@lru_cache(maxsize=64)
def _row_by_row(stored: bytes) -> QuantisationTable:
    """Return the divisors of a table; a folder's photographs have few, and each takes 20 µs."""
    width = len(stored) // 64
    values = [0] * 64
    for index, place in enumerate(ZIGZAG):
        values[place] = int.from_bytes(stored[index * width : (index + 1) * width], "big")
    return tuple(values)


def parse_huffman_counts(body: bytes) -> list[bytes] | None:
    """Return the code-length counts of the tables in a DHT segment's body, None if malformed."""
    found = []
    position = 0
    while position < len(body):
        counts = body[position + 1 : position + 17]
        position += 17 + sum(counts)
        if len(counts) != 16 or position > len(body):
            return None
        found.append(counts)
    return found


@cache
def standard_tables(quality: int) -> tuple[QuantisationTable, QuantisationTable]:
    """Return the luma and chroma tables that a quality of 1..100 stands for."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (
        tuple(min(max((value * scale + 50) // 100, 1), 255) for value in table)
        for table in (_LUMA, _CHROMA)
    )
    return luma, chroma


def standard_quality(tables: tuple[QuantisationTable, ...]) -> int | None:
    """Return the quality whose tables are exactly these: luma, then chroma if any.

    None if no quality has them, or luma and chroma have different ones.
    """
    for quality in range(100, 0, -1):
        luma, chroma = standard_tables(quality)
        if tables[0] == luma and all(table == chroma for table in tables[1:]):
            return quality
    return None


def nearest_quality(tables: tuple[QuantisationTable, ...]) -> int:
    """Return the quality whose tables are nearest, by the mean ratio of their divisors."""
    stored = np.log(np.maximum(np.array(tables[:2], np.float64), 1))

    def distance(quality: int) -> float:
        standard = np.log(np.array(standard_tables(quality)[: len(stored)], np.float64))
        return float(abs((stored - standard).mean()))

    return min(range(1, 101), key=distance)
