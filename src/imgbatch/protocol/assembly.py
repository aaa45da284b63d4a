"""Putting a payload in pieces together again.

Pieces of one transfer are sent in order on one channel, so the only things that can go wrong are
a piece that comes again (its sender reconnected and was not sure) and one that never comes.
Every piece was checked on its own by its frame's checksum.
"""

from __future__ import annotations

from enum import Enum, auto

from imgbatch.errors import FrameTooLarge, MalformedFrame


class Piece(Enum):
    """What a piece turned out to be."""

    NEXT = auto()
    LAST = auto()
    REPEATED = auto()


class Transfer:
    """How much of a payload has come, without keeping any of it.

    Parameters
    ----------
    size_bytes
        Of the whole payload, as announced.
    limit_bytes
        The largest payload that is accepted.

    Raises
    ------
    FrameTooLarge
        If more is announced than accepted.
    """

    __slots__ = ("arrived_bytes", "size_bytes")

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        if size_bytes > limit_bytes:
            raise FrameTooLarge(f"{size_bytes} bytes announced; {limit_bytes} are allowed")
        self.size_bytes = size_bytes
        self.arrived_bytes = 0

    def accept(self, offset_bytes: int, length_bytes: int) -> Piece:
        """Count a piece in, and say what it was.

        Raises
        ------
        MalformedFrame
            If a piece before it is missing, or it reaches beyond the announced size.
        """
        if offset_bytes < self.arrived_bytes or self._is_repeated_end(offset_bytes, length_bytes):
            return Piece.REPEATED
        if offset_bytes > self.arrived_bytes:
            raise MalformedFrame(f"{offset_bytes - self.arrived_bytes} bytes of a payload missing")
        if offset_bytes + length_bytes > self.size_bytes:
            raise MalformedFrame("a payload is longer than announced")
        if length_bytes == 0 and self.size_bytes > 0:
            raise MalformedFrame("an empty piece of a payload")
        self.arrived_bytes += length_bytes
        return Piece.LAST if self.arrived_bytes == self.size_bytes else Piece.NEXT

    def _is_repeated_end(self, offset_bytes: int, length_bytes: int) -> bool:
        return length_bytes == 0 and offset_bytes == self.arrived_bytes == self.size_bytes > 0


class Assembly:
    """A payload that is put together in memory, which is taken as the pieces come.

    Parameters
    ----------
    size_bytes, limit_bytes
        As for `Transfer`.
    """

    __slots__ = ("_memory", "_transfer")

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        self._transfer = Transfer(size_bytes, limit_bytes)
        self._memory = bytearray()

    @property
    def arrived_bytes(self) -> int:
        """How much has come."""
        return self._transfer.arrived_bytes

    def add(self, offset_bytes: int, piece: memoryview) -> memoryview | None:
        """Take a piece in; return the whole payload, read-only, once it is complete.

        Raises
        ------
        MalformedFrame
            As `Transfer.accept` does.
        """
        kind = self._transfer.accept(offset_bytes, len(piece))
        if kind is Piece.REPEATED:
            return None
        self._memory += piece
        return memoryview(self._memory).toreadonly() if kind is Piece.LAST else None
