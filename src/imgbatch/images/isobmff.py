"""The boxes of which HEIF and AVIF files are made (ISO/IEC 14496-12, ISO/IEC 23008-12).

Their decoders say of what they miss that it is grey, so it is looked for here.
"""

from __future__ import annotations

from collections.abc import Iterator

Box = tuple[bytes, memoryview]


def is_complete(data: memoryview) -> bool:
    """Whether all boxes of a file, and all pieces of which its pictures are made, end within it."""
    has_pictures = bool(find(data, b"meta") or find(data, b"moov"))
    last_byte = max((offset + size for offset, size in pieces(data)), default=0)
    return has_pictures and _boxes_end(data) and last_byte <= len(data)


def boxes(data: memoryview) -> Iterator[Box]:
    """Yield kind and body of each box; the last may be cut off."""
    position = 0
    while position + 8 <= len(data):
        size, head = _number(data, position, 4), 8
        if size == 1:
            size, head = _number(data, position + 8, 8), 16
        size = size or len(data) - position
        yield bytes(data[position + 4 : position + 8]), data[position + head : position + size]
        position += max(size, head)


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


def _boxes_end(data: memoryview) -> bool:
    position = 0
    while position + 8 <= len(data):
        size = _number(data, position, 4)
        if size == 1:
            size = _number(data, position + 8, 8)
        elif size == 0:
            return True
        if size < 8:
            return False
        position += size
    return position == len(data)


def pieces(data: memoryview) -> Iterator[tuple[int, int]]:
    """Yield offset and size of each piece of the pictures in a file, by its table of places."""
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
    position = 6 + number_bytes
    while position < len(table) and step:
        position += number_bytes
        is_in_file = version == 0 or _number(table, position, 2) & 15 == 0
        position += 2 if version == 0 else 4
        base = _number(table, position, base_bytes)
        count = _number(table, position + base_bytes, 2)
        position += base_bytes + 2
        end = min(position + count * step, len(table))
        for at in range(position + index_bytes, end if is_in_file else 0, step):
            offset = base + _number(table, at, offset_bytes)
            yield offset, _number(table, at + offset_bytes, size_bytes)
        position += count * step
