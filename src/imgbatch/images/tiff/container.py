"""TIFF directories (TIFF 6.0, section 2): read with every length checked, written in one piece.

Values stay the bytes they are in the source's byte order, so that what is kept is kept exactly.
EXIF is such a structure as well, which is how it travels in other formats.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from imgbatch.images.failures import beyond_repair, truncated

EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER = 34665, 34853, 40965
_POINTERS = frozenset((EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER))
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_DEEPEST = 3
SHORT, LONG = 3, 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A field's type, its bytes in the file's order, and for a pointer what it points to."""

    kind: int
    value: bytes
    directory: Directory | None = None

    @property
    def first(self) -> Entry:
        """A field of the first of its values alone."""
        return Entry(self.kind, self.value[: TYPE_BYTES[self.kind]])


@dataclass(frozen=True, slots=True)
class Directory:
    """The fields of one directory by their tag.

    Parameters
    ----------
    order
        ``"<"`` or ``">"``, as `struct` names byte orders.
    entries
        The fields.
    following
        Offset of the next directory; 0 if this is the last.
    """

    order: str
    entries: Mapping[int, Entry] = field(default_factory=dict)
    following: int = 0

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return a field of BYTE, SHORT or LONG values; empty if it is missing or of another."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in (1, SHORT, LONG):
            return ()
        letter = {1: "B", SHORT: "H", LONG: "I"}[entry.kind]
        return struct.unpack(
            f"{self.order}{len(entry.value) // TYPE_BYTES[entry.kind]}{letter}", entry.value
        )

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a field."""
        return next(iter(self.numbers(tag)), default)

    def data(self, tag: int) -> bytes | None:
        """Return a field's bytes; None if it is missing."""
        entry = self.entries.get(tag)
        return entry.value if entry is not None else None


class DirectoryReader:
    """Reads the directories of one file, all of them within one budget.

    Fields can share bytes and directories can point to the same one, so that 20 KB could describe
    hours of work: all directories and their values together may not be larger than the file.

    Parameters
    ----------
    data
        The file, of which the first two bytes name the byte order.

    Raises
    ------
    DamagedImage
        If the file ends within its header.
    """

    def __init__(self, data: memoryview) -> None:
        if len(data) < 8:
            raise truncated("the TIFF ends within its header")
        self._data = data
        self._order = "<" if bytes(data[:2]) == b"II" else ">"
        self._unread_bytes = len(data)

    def first(self) -> Directory:
        """Return the directory that the header points to; raises as `read` does."""
        (offset,) = struct.unpack_from(f"{self._order}I", self._data, 4)
        return self.read(offset)

    def read(self, offset: int, depth: int = 0) -> Directory:
        """Return the directory at an offset, and those its fields point to.

        Raises
        ------
        DamagedImage
            If it is not there, claims more than the file has, or has a field twice: decoders
            differ in which of the two they take.
        """
        data, order = self._data, self._order
        if offset < 8 or offset + 2 > len(data):
            raise truncated("the TIFF ends before its directory")
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        end = offset + 2 + 12 * count
        if end + 4 > len(data):
            raise truncated("the TIFF ends within its directory")
        self._spend(12 * count)
        entries: dict[int, Entry] = {}
        tags = [struct.unpack_from(f"{order}H", data, at)[0] for at in range(offset + 2, end, 12)]
        if len(set(tags)) < count:
            raise beyond_repair("the TIFF's directory has a field twice")
        for tag, at in zip(tags, range(offset + 2, end, 12), strict=True):
            entry = self._read_entry(tag, at, depth)
            if entry is not None:
                entries[tag] = entry
        (following,) = struct.unpack_from(f"{order}I", data, end)
        return Directory(order, entries, following)

    def _read_entry(self, tag: int, at: int, depth: int) -> Entry | None:
        """Return the field described at an offset; None if it is empty or of unknown type."""
        data, order = self._data, self._order
        kind, length = struct.unpack_from(f"{order}HI", data, at + 2)
        size = TYPE_BYTES.get(kind, 0) * length
        if not size:
            return None
        start = at + 8
        if size > 4:
            self._spend(size)
            (start,) = struct.unpack_from(f"{order}I", data, at + 8)
        if start + size > len(data):
            raise truncated("the TIFF ends before a value of its directory")
        value = bytes(data[start : start + size])
        if tag not in _POINTERS or kind not in (LONG, 13):
            return Entry(kind, value)
        if depth == _DEEPEST:
            raise beyond_repair("the TIFF's directories lie too deep in each other")
        (offset,) = struct.unpack_from(f"{order}I", value)
        return Entry(kind, value, self.read(offset, depth + 1))

    def _spend(self, size_bytes: int) -> None:
        self._unread_bytes -= size_bytes
        if self._unread_bytes < 0:
            raise beyond_repair("the TIFF's directories have more values than the file")


def serialise(directory: Directory, start: int) -> bytes:
    """Return a directory, its values and what it points to, to stand at an even offset."""
    order, entries = directory.order, sorted(directory.entries.items())
    table = bytearray(struct.pack(f"{order}H", len(entries)))
    values = bytearray()
    values_start = start + 2 + 12 * len(entries) + 4
    for tag, entry in entries:
        value = entry.value
        if entry.directory is not None:
            value = struct.pack(f"{order}I", values_start + len(values))
            values += serialise(entry.directory, values_start + len(values))
        count = len(value) // TYPE_BYTES[entry.kind]
        table += struct.pack(f"{order}HHI", tag, entry.kind, count)
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack(f"{order}I", values_start + len(values))
            values += value
        values += b"\0" * (len(values) % 2)
    return bytes(table + b"\0\0\0\0" + values)


def header(order: str, directory_start: int) -> bytes:
    """Return a TIFF header that points to its first directory."""
    return struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, directory_start)


def shorts(order: str, *values: int) -> Entry:
    """Return a field of SHORT values."""
    return Entry(SHORT, struct.pack(f"{order}{len(values)}H", *values))


def longs(order: str, *values: int) -> Entry:
    """Return a field of LONG values."""
    return Entry(LONG, struct.pack(f"{order}{len(values)}I", *values))
