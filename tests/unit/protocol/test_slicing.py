"""Cutting payloads into pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.protocol.slicing import CHUNK_BYTES, pieces


@given(st.binary(max_size=500), st.integers(1, 600))
def test_the_pieces_put_together_are_the_payload(payload: bytes, chunk_bytes: int) -> None:
    cut = list(pieces(payload, chunk_bytes))
    assert b"".join(piece for _, piece in cut) == payload
    assert [offset for offset, _ in cut] == list(range(0, max(1, len(payload)), chunk_bytes))
    assert all(len(piece) == chunk_bytes for _, piece in cut[:-1])
    assert len(cut[-1][1]) <= chunk_bytes


def test_nothing_is_one_empty_piece() -> None:
    assert [(offset, bytes(piece)) for offset, piece in pieces(b"")] == [(0, b"")]


def test_pieces_are_views_and_not_copies() -> None:
    payload = bytes(3 * CHUNK_BYTES + 1)
    whole = np.frombuffer(payload, np.uint8)
    cut = [np.frombuffer(piece, np.uint8) for _, piece in pieces(payload)]
    assert len(cut) == 4
    assert all(np.shares_memory(whole, piece) for piece in cut)


def test_wider_items_are_cut_by_the_byte() -> None:
    payload = memoryview(np.arange(4, dtype=np.uint32)).toreadonly()
    assert [len(piece) for _, piece in pieces(payload, 6)] == [6, 6, 4]
