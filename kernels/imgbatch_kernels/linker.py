"""From an object file to an image: the static half of what a linker does, for ELF on x86-64.

Sections that are loaded are laid one behind the other, and references between them become offsets.
With the code model that Numba uses, each reference is a whole 64-bit address, so that there is one
kind of relocation to know. See the System V ABI, AMD64 supplement, chapters 4.1 and 4.4, and
the generic ABI, chapter 4, for the tables.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from imgbatch_kernels.image import OUTSIDE, Image, Word

_ELF_64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_MACHINE_AT, _X86_64 = 18, 62
_SECTIONS_AT, _SECTION_COUNT_AT = 40, 60
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QIIq")

_PROGBITS, _SYMBOL_TABLE, _RELOCATIONS, _RELOCATIONS_WITHOUT_ADDEND = 1, 2, 4, 9
_IS_WRITABLE, _IS_LOADED = 1, 2
_UNDEFINED = 0
_ADDRESS_OF_64_BITS = 1


class UnlinkableError(Exception):
    """The object file is of another system, or has something in it that is not known here."""


class _Section(NamedTuple):
    name: str
    kind: int
    flags: int
    offset: int
    size_bytes: int
    link: int
    info: int
    alignment: int


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


def link(object_code: bytes, symbol: str) -> Image:
    """Return the image of a function in an object file.

    Raises
    ------
    UnlinkableError
        If this can't be done; then LLVM's own loader has to.
    """
    if object_code[:6] != _ELF_64_LITTLE_ENDIAN or _u16(object_code, _MACHINE_AT) != _X86_64:
        raise UnlinkableError("not an object file of ELF for x86-64")
    try:
        return _linked(object_code, symbol)
    except (struct.error, IndexError, ValueError) as error:
        raise UnlinkableError(f"the object file is damaged: {error}") from error


def _linked(object_code: bytes, symbol: str) -> Image:
    sections = _sections(object_code)
    code, starts = _laid_out(object_code, sections)
    symbols = _symbols(object_code, sections)
    words = tuple(
        _word(section, starts[section.info], record, symbols, starts)
        for section in sections
        if section.kind == _RELOCATIONS and section.info in starts
        for record in _RELOCATION.iter_unpack(_content(object_code, section))
    )
    entries = [_offset(known, starts) for known in symbols if known.name == symbol]
    if not entries:
        raise UnlinkableError(f"{symbol} is not there")
    return Image(code, entries[0], words)


def _sections(object_code: bytes) -> list[_Section]:
    at, count = _SECTION.size, _u16(object_code, _SECTION_COUNT_AT)
    (first,) = struct.unpack_from("<Q", object_code, _SECTIONS_AT)
    headers = [_SECTION.unpack_from(object_code, first + i * at) for i in range(count)]
    names = headers[_u16(object_code, _SECTION_COUNT_AT + 2)][4]
    return [
        _Section(_text(object_code, names + name), kind, flags, offset, size, link, info, alignment)
        for name, kind, flags, _, offset, size, link, info, alignment, _ in headers
    ]


def _laid_out(object_code: bytes, sections: list[_Section]) -> tuple[bytes, dict[int, int]]:
    """Return all that is loaded, and where each section begins in it, by number.

    Without the tables for unwinding, which are for exceptions, and there are none.
    """
    code, starts = bytearray(), {}
    for number, section in enumerate(sections):
        if section.kind == _RELOCATIONS_WITHOUT_ADDEND:
            raise UnlinkableError(f"{section.name} is of a kind that x86-64 does not use")
        if not section.flags & _IS_LOADED or section.name == ".eh_frame" or not section.size_bytes:
            continue
        if section.kind != _PROGBITS or section.flags & _IS_WRITABLE:
            raise UnlinkableError(f"{section.name} has to be written")
        code.extend(bytes(-len(code) % max(1, section.alignment)))
        starts[number] = len(code)
        code.extend(_content(object_code, section))
    return bytes(code), starts


def _symbols(object_code: bytes, sections: list[_Section]) -> list[_Symbol]:
    return [
        _Symbol(_text(object_code, sections[table.link].offset + name), section, value)
        for table in sections
        if table.kind == _SYMBOL_TABLE
        for name, _, _, section, value, _ in _SYMBOL.iter_unpack(_content(object_code, table))
    ]


def _word(
    section: _Section,
    start: int,
    record: tuple[int, int, int, int],
    symbols: list[_Symbol],
    starts: dict[int, int],
) -> Word:
    offset, kind, number, addend = record
    target = symbols[number]
    if kind != _ADDRESS_OF_64_BITS:
        raise UnlinkableError(f"{section.name} has a relocation of type {kind}")
    if target.section != _UNDEFINED:
        return Word(start + offset, "", _offset(target, starts) + addend)
    if target.name not in OUTSIDE:
        raise UnlinkableError(f"{target.name} is needed")
    return Word(start + offset, target.name, addend)


def _offset(symbol: _Symbol, starts: dict[int, int]) -> int:
    if symbol.section not in starts:
        raise UnlinkableError(f"{symbol.name or 'a section'} is not loaded")
    return starts[symbol.section] + symbol.value


def _content(object_code: bytes, section: _Section) -> bytes:
    return object_code[section.offset : section.offset + section.size_bytes]


def _text(object_code: bytes, at: int) -> str:
    return object_code[at : object_code.index(b"\0", at)].decode()


def _u16(object_code: bytes, at: int) -> int:
    return int.from_bytes(object_code[at : at + 2], "little")
