from __future__ import annotations

import zlib

import numpy as np
import pytest
from isal import isal_zlib
from tests.support import images

from imgbatch.images import deflate
from imgbatch.images.deflate import PIECE_BYTES, deflate_bytes
from imgbatch.recipe import PngLevel


@pytest.mark.parametrize("level", PngLevel)
def test_bytes_are_deflated_to_a_zlib_stream(level):
    raw = images.pixels(100, 100).tobytes()
    assert zlib.decompress(deflate_bytes(raw, level)) == raw


@pytest.mark.parametrize("spare_bytes", [-1, 0, 1, PIECE_BYTES])
def test_many_bytes_are_deflated_in_pieces_to_one_stream(spare_bytes):
    size = 2 * PIECE_BYTES + spare_bytes
    raw = np.random.default_rng(1).integers(0, 8, size, np.uint8).tobytes()
    inflater = zlib.decompressobj()
    assert inflater.decompress(deflate_bytes(raw, PngLevel.FAST)) == raw
    assert inflater.eof
    assert inflater.unused_data == b""


def test_a_stream_in_pieces_is_the_same_however_many_threads_make_it(monkeypatch):
    rows = np.random.default_rng(2).integers(0, 8, (1300, 8192), np.uint8)
    assert rows.nbytes > 2 * PIECE_BYTES
    streams = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(deflate, "usable_cores", lambda threads=threads: threads)
        streams.append(deflate_bytes(rows, PngLevel.FAST))
    assert streams[0] == streams[1] == streams[2]
    assert len(streams[0]) < 1.001 * len(isal_zlib.compress(rows, 1))
