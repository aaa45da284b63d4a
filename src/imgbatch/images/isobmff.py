"""The boxes of which HEIF and AVIF files are made (ISO/IEC 14496-12, ISO/IEC 23008-12).

Their decoders say of what they miss that it is grey, so it is looked for here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgbatch.images.failures import unsupported

Box = tuple[bytes, memoryview]
_MOST_PARTS = 100_000
"""Boxes in a row, or pieces."""
_IN_FILE, _IN_META = 0, 1


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a part of an item, such as a picture, lies.

    Parameters
    ----------
    item
        The item's number.
    construction
        0: in the file; 1: in the box ``idat``; others are not read.
    offset, size
        Its bytes there.
    """

    item: int
    construction: int
    offset: int
    size: int


def is_complete(data: memoryview) -> bool:
    """Whether all boxes of a file, and all pieces of which its pictures are made, end within it."""
    has_pictures = bool(find(data, b"meta") or find(data, b"moov"))
    in_file = (piece for piece in pieces(data) if piece.construction == _IN_FILE)
    last_byte = max((piece.offset + piece.size for piece in in_file), default=0)
    return has_pictures and trailing_bytes(data) is not None and last_byte <= len(data)


def boxes(data: memoryview) -> Iterator[Box]:
    """Yield kind and body of each box; the last may be cut off.

    Raises
    ------
    RefusedImage
        If there are more than 100,000.
    """
    for start, head, size in _places(data):
        yield bytes(data[start + 4 : start + 8]), data[start + head : start + size]


def _places(data: memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield where each box starts, and how many bytes its header and the whole have."""
    start = 0
    for _ in range(_MOST_PARTS):
        if start + 8 > len(data):
            return
        size, head = _number(data, start, 4), 8
        if size == 1:
            size, head = _number(data, start + 8, 8), 16
        size = size or len(data) - start
        yield start, head, size
        start += max(size, head)
    raise unsupported(f"the file has more than {_MOST_PARTS} boxes")


def find(data: memoryview, *path: bytes) -> memoryview:
    """Return the body of the first box that is reached by these kinds; empty if there is none."""
    for kind in path:
        data = next((body for found, body in boxes(data) if found == kind), data[:0])
        if kind == b"meta":
            data = data[4:]
    return data


def largest_picture(data: memoryview) -> int:
    """Return how many pixels the largest picture of a file has, as its headers say."""
    sizes = [
        _number(body, 4, 4) * _number(body, 8, 4)
        for kind, body in boxes(find(data, b"meta", b"iprp", b"ipco"))
        if kind == b"ispe"
    ]
    return max(sizes, default=0)


def _number(data: memoryview, position: int, size: int) -> int:
    return int.from_bytes(data[position : position + size])


def trailing_bytes(data: memoryview) -> int | None:
    """Return how many bytes, too few for a box, follow the last; None if that is cut off."""
    end = 0
    for start, head, size in _places(data):
        if size < head:
            return None
        end = start + size
    return len(data) - end if end <= len(data) else None


def first_bytes(data: memoryview, item: int, count: int) -> bytes:
    """Return what an item begins with."""
    places = {_IN_FILE: data, _IN_META: find(data, b"meta", b"idat")}
    found = b""
    for piece in pieces(data):
        if piece.item == item and len(found) < count:
            size = piece.size or count  # without a size, all that follows
            place = places.get(piece.construction, data[:0])
            found += place[piece.offset : piece.offset + min(size, count)]
    return found[:count]


def primary_item(data: memoryview) -> int:
    """Return the number of the item that is the picture of a file; 0 if none is named."""
    body = find(data, b"meta", b"pitm")
    return int.from_bytes(body[4 : 6 if bytes(body[:1]) == b"\0" else 8])


def item_kinds(data: memoryview) -> dict[int, bytes]:
    """Return the kind of each item, such as ``av01`` or ``grid``, by its number."""
    table, kinds = find(data, b"meta", b"iinf"), dict[int, bytes]()
    for _, body in boxes(table[6 if bytes(table[:1]) == b"\0" else 8 :]):
        end = 6 if bytes(body[:1]) == b"\2" else 8
        kinds[int.from_bytes(body[4:end])] = bytes(body[end + 2 : end + 6])
    return kinds


def pieces(data: memoryview) -> Iterator[Piece]:
    """Yield each piece of the items in a file, by its table of places.

    Raises
    ------
    RefusedImage
        If there are more than 100,000.
    """
    table = find(data, b"meta", b"iloc")
    if len(table) < 8:
        return
    version = table[0]
    offset_bytes, size_bytes = divmod(table[4], 16)
    base_bytes, index_bytes = divmod(table[5], 16)
    if version == 0:
        index_bytes = 0
    number_bytes = 4 if version == 2 else 2
    step = index_bytes + offset_bytes + size_bytes
    position, total = 6 + number_bytes, 0
    while position < len(table) and step:
        item = _number(table, position, number_bytes)
        position += number_bytes
        construction = 0 if version == 0 else _number(table, position, 2) & 15
        position += 2 if version == 0 else 4
        base = _number(table, position, base_bytes)
        count = _number(table, position + base_bytes, 2)
        position += base_bytes + 2
        total += 1 + count
        if total > _MOST_PARTS:
            raise unsupported(f"the file has more than {_MOST_PARTS} pieces")
        end = min(position + count * step, len(table))
        for at in range(position + index_bytes, end, step):
            offset = base + _number(table, at, offset_bytes)
            yield Piece(item, construction, offset, _number(table, at + offset_bytes, size_bytes))
        position += count * step
