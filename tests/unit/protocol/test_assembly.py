"""Putting payloads together again, from pieces that repeat, are missing or lie."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.errors import FrameTooLarge, MalformedFrame
from imgbatch.protocol.assembly import Assembly, Piece, Transfer
from imgbatch.protocol.slicing import pieces


@given(st.binary(max_size=300), st.integers(1, 100), st.data())
def test_pieces_that_come_again_change_nothing(
    payload: bytes, chunk_bytes: int, data: st.DataObject
) -> None:
    """A sender that reconnects begins again at any piece it is not sure of."""
    cut = list(pieces(payload, chunk_bytes))
    assembly, whole, next_piece = Assembly(len(payload), 300), None, 0
    while whole is None:
        whole = assembly.add(*cut[next_piece])
        next_piece += 1
        if whole is None and data.draw(st.booleans()):
            next_piece = data.draw(st.integers(0, next_piece))
    assert whole == payload
    assert whole.readonly


@given(st.binary(min_size=3, max_size=300), st.data())
def test_a_missing_piece_is_noticed(payload: bytes, data: st.DataObject) -> None:
    cut = list(pieces(payload, max(1, len(payload) // 3)))
    missing = data.draw(st.integers(0, len(cut) - 2))
    assembly = Assembly(len(payload), 300)
    for piece in cut[:missing]:
        assembly.add(*piece)
    with pytest.raises(MalformedFrame, match="missing"):
        assembly.add(*cut[missing + 1])


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20))
def test_whatever_comes_no_byte_is_counted_twice_or_beyond_the_end(
    size: int, sent: list[tuple[int, int]]
) -> None:
    transfer = Transfer(size, 50)
    for offset, length in sent:
        before = transfer.arrived_bytes
        try:
            piece = transfer.accept(offset, length)
        except MalformedFrame:
            assert transfer.arrived_bytes == before
            continue
        advanced = 0 if piece is Piece.REPEATED else length
        assert transfer.arrived_bytes == before + advanced <= size
        assert (piece is Piece.LAST) == (piece is not Piece.REPEATED and before + advanced == size)


def test_an_empty_payload_is_complete_with_its_one_empty_piece() -> None:
    assert Assembly(0, 10).add(0, memoryview(b"")) == b""


def test_too_many_bytes_are_refused() -> None:
    transfer = Transfer(4, 10)
    with pytest.raises(MalformedFrame, match="longer than announced"):
        transfer.accept(0, 5)


def test_an_empty_piece_is_refused_before_the_end_and_repeated_after_it() -> None:
    transfer = Transfer(4, 10)
    with pytest.raises(MalformedFrame, match="empty piece"):
        transfer.accept(0, 0)
    assert transfer.accept(0, 4) is Piece.LAST
    assert transfer.accept(4, 0) is Piece.REPEATED


@pytest.mark.parametrize("kind", [Transfer, Assembly])
def test_what_is_announced_beyond_the_limit_is_refused_before_it_is_allocated(kind: type) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FrameTooLarge, match=str(2**40)):
            kind(2**40, 2**20)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
