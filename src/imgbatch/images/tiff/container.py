"""TIFF directories (TIFF 6.0, section 2, and BigTIFF): read with every length checked, and written.

Values stay the bytes they are in the source's byte order, so that what is kept is kept exactly.
EXIF is such a structure as well, which is how it travels in other formats.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from imgbatch.images.failures import beyond_repair, truncated

EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER = 34665, 34853, 40965
_POINTERS = frozenset((EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER))
BYTE, SHORT, LONG, DIRECTORY, LONG8, DIRECTORY8 = 1, 3, 4, 13, 16, 18
TYPE_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), 1)) | dict.fromkeys(
    (LONG8, 17, DIRECTORY8), 8
)
_LETTERS = {BYTE: "B", SHORT: "H", LONG: "I", LONG8: "Q"}
_DEEPEST = 3
_BIG_MARKS = (b"II+\0", b"MM\0+")
_BYTE_ORDERS: Mapping[str, Literal["little", "big"]] = {"<": "little", ">": "big"}


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
    is_big
        Whether it is of a BigTIFF, whose counts and offsets have 8 bytes.
    """

    order: str
    entries: Mapping[int, Entry] = field(default_factory=dict)
    following: int = 0
    is_big: bool = False

    def as_classic(self) -> Directory:
        """Return the same without what only a BigTIFF can hold."""
        if not self.is_big:
            return self
        entries = {}
        for tag, entry in self.entries.items():
            if entry.directory is not None:
                entries[tag] = Entry(LONG, bytes(4), entry.directory.as_classic())
            elif entry.kind < LONG8:
                entries[tag] = entry
        return Directory(self.order, entries)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return a field of whole numbers without a sign; empty if it is missing or of another."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _LETTERS:
            return ()
        count = len(entry.value) // TYPE_BYTES[entry.kind]
        return struct.unpack(f"{self.order}{count}{_LETTERS[entry.kind]}", entry.value)

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a field."""
        return next(iter(self.numbers(tag)), default)

    def data(self, tag: int) -> bytes | None:
        """Return a field's bytes; None if it is missing."""
        entry = self.entries.get(tag)
        return entry.value if entry is not None else None


def _structs(order: str, is_big: bool) -> tuple[struct.Struct, struct.Struct, struct.Struct]:
    """Return how a file has the number of fields, a field, and an offset."""
    count, entry, offset = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHI4s", "I")
    return struct.Struct(order + count), struct.Struct(order + entry), struct.Struct(order + offset)


class DirectoryReader:
    """Reads the directories of one file, all of them within one budget.

    Fields can share bytes and directories can point to the same one, so that 20 KB could describe
    hours of work: all directories and their values together may not be larger than the file.

    Parameters
    ----------
    data
        The file, of which the first bytes name the byte order and the kind of TIFF.

    Raises
    ------
    DamagedImage
        If the file ends within its header.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._order = "<" if bytes(data[:2]) == b"II" else ">"
        self._is_big = bytes(data[:4]) in _BIG_MARKS
        self._structs = _structs(self._order, self._is_big)
        self._header_bytes = len(header(self._order, 0, is_big=self._is_big))
        if len(data) < self._header_bytes:
            raise truncated("the TIFF ends within its header")
        self._unread_bytes = len(data)

    def chain(self) -> Iterator[Directory]:
        """Yield the directories that follow each other, from the one that the header points to.

        Raises
        ------
        DamagedImage
            As `read` does, and if one comes twice.
        """
        pointer, seen = self._structs[2], set[int]()
        (offset,) = pointer.unpack_from(self._data, self._header_bytes - pointer.size)
        while offset not in seen:
            seen.add(offset)
            directory = self.read(offset)
            yield directory
            offset = directory.following
            if offset == 0:
                return
        raise beyond_repair("the TIFF's directories follow each other in a circle")

    def read(self, offset: int, depth: int = 0) -> Directory:
        """Return the directory at an offset, and those its fields point to.

        Raises
        ------
        DamagedImage
            If it is not there, claims more than the file has, or has a field twice: decoders
            differ in which of the two they take.
        """
        data, (number, entry, pointer) = self._data, self._structs
        start = offset + number.size
        if offset < self._header_bytes or start > len(data):
            raise truncated("the TIFF ends before its directory")
        (count,) = number.unpack_from(data, offset)
        end = start + count * entry.size
        if end + pointer.size > len(data):
            raise truncated("the TIFF ends within its directory")
        self._spend(end - start)
        fields = list(entry.iter_unpack(data[start:end]))
        if len({tag for tag, *_ in fields}) < count:
            raise beyond_repair("the TIFF's directory has a field twice")
        entries = {field[0]: self._entry(field, depth) for field in fields}
        known = {tag: entry for tag, entry in entries.items() if entry is not None}
        (following,) = pointer.unpack_from(data, end)
        return Directory(self._order, known, following, self._is_big)

    def _entry(self, field: tuple[int, int, int, bytes], depth: int) -> Entry | None:
        """Return a field; None if it is empty or of unknown type."""
        tag, kind, count, inline = field
        size = TYPE_BYTES.get(kind, 0) * count
        if not size:
            return None
        value = inline[:size]
        if size > len(inline):
            self._spend(size)
            (start,) = self._structs[2].unpack(inline)
            value = bytes(self._data[start : start + size])
        if len(value) < size:
            raise truncated("the TIFF ends before a value of its directory")
        if tag not in _POINTERS or kind not in (LONG, DIRECTORY, LONG8, DIRECTORY8):
            return Entry(kind, value)
        if depth == _DEEPEST:
            raise beyond_repair("the TIFF's directories lie too deep in each other")
        offset = int.from_bytes(value[: TYPE_BYTES[kind]], _BYTE_ORDERS[self._order])
        return Entry(kind, value, self.read(offset, depth + 1))

    def _spend(self, size_bytes: int) -> None:
        self._unread_bytes -= size_bytes
        if self._unread_bytes < 0:
            raise beyond_repair("the TIFF's directories have more values than the file")


def serialise(directory: Directory, start: int, *, is_followed: bool = False) -> bytes:
    """Return a directory, its values and what it points to, to stand at an even offset.

    If another follows it, that one stands right behind.
    """
    order, is_big = directory.order, directory.is_big
    number, field, pointer = _structs(order, is_big)
    entries = sorted(directory.entries.items())
    table, values = bytearray(number.pack(len(entries))), bytearray()
    values_start = start + number.size + field.size * len(entries) + pointer.size
    for tag, entry in entries:
        inline = entry.value
        if entry.directory is not None:
            inline = (values_start + len(values)).to_bytes(len(inline), _BYTE_ORDERS[order])
            values += serialise(entry.directory, values_start + len(values))
        elif len(inline) > pointer.size:
            inline = pointer.pack(values_start + len(values))
            values += entry.value
        count = len(entry.value) // TYPE_BYTES[entry.kind]
        table += field.pack(tag, entry.kind, count, inline)
        values += b"\0" * (len(values) % 2)
    following = values_start + len(values) if is_followed else 0
    return bytes(table + pointer.pack(following) + values)


def header(order: str, directory_start: int, *, is_big: bool = False) -> bytes:
    """Return a TIFF header that points to its first directory."""
    mark = b"II" if order == "<" else b"MM"
    if is_big:
        return struct.pack(f"{order}2sHHHQ", mark, 43, 8, 0, directory_start)
    return struct.pack(f"{order}2sHI", mark, 42, directory_start)


def shorts(order: str, *values: int) -> Entry:
    """Return a field of SHORT values."""
    return Entry(SHORT, struct.pack(f"{order}{len(values)}H", *values))


def longs(order: str, *values: int) -> Entry:
    """Return a field of LONG values."""
    return Entry(LONG, struct.pack(f"{order}{len(values)}I", *values))
