"""The tables that stand for a quality: what the encoder itself writes for it.

Nearly all encoders scale the example tables of ITU-T T.81, annex K, by a quality from 1 to 100 as
the library of the Independent JPEG Group does.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from imgbatch.images.jpeg.container import JpegStructure, QuantisationTable, parse_jpeg


@cache
def _written_at(quality: int) -> JpegStructure:
    import simplejpeg

    file: bytes = simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8), quality, "RGB")
    return parse_jpeg(memoryview(file))


def standard_tables(quality: int) -> tuple[QuantisationTable, QuantisationTable]:
    """Return the luma and chroma tables that a quality of 1..100 stands for."""
    tables = _written_at(quality).quantisation
    return tables[0], tables[1]


def has_standard_huffman(structure: JpegStructure) -> bool:
    """Whether only annex K's tables were used; an encoder that optimises them has others."""
    return structure.huffman <= _written_at(100).huffman


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
