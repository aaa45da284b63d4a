"""Machine code that can be placed anywhere in memory, and its way there.

An image is what a dynamic linker would want to know, and no more: bytes, where the function begins,
and which words hold addresses. Placing one takes 0.2 ms and the standard library; LLVM's own loader
costs each process 23 to 50 ms.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Callable
from typing import NamedTuple

KERNEL_TYPE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 7)
"""Source, target, above, below, rows, shape, steps; see `kernel.rows_kernel`. Frees the GIL."""

MAGIC = b"image-1\n"
OUTSIDE = ("memset", "memcpy", "memmove")
"""Functions of the C library that LLVM makes of loops that fill or copy."""

_TARGETS = (*OUTSIDE, "")
"""What a word may point to; a packed one names it by its place in here."""

_HEADER = struct.Struct("<8sIII")
_WORD = struct.Struct("<IBq")
_ADDRESS = struct.Struct("<Q")
_PROTECTION_READ_EXECUTE = mmap.PROT_READ | mmap.PROT_EXEC


class Word(NamedTuple):
    """Eight bytes of the code that hold an address.

    Parameters
    ----------
    at
        Where they are.
    outside
        The function of `OUTSIDE` that they point to; empty for the code itself.
    addend
        How many bytes behind its start.
    """

    at: int
    outside: str
    addend: int


class Image(NamedTuple):
    """A function's machine code, with all that it needs.

    Parameters
    ----------
    code
        Instructions and constants; aligned to a page when placed.
    entry
        Where in it the function begins.
    words
        The addresses in it.
    """

    code: bytes
    entry: int
    words: tuple[Word, ...]

    def pack(self) -> bytes:
        """Return the image as bytes, to be kept."""
        return b"".join(
            (
                _HEADER.pack(MAGIC, self.entry, len(self.words), len(self.code)),
                *(_WORD.pack(at, _TARGETS.index(name), addend) for at, name, addend in self.words),
                self.code,
            )
        )


def is_image(kept: bytes) -> bool:
    """Whether bytes are a packed image, and not an object file."""
    return kept.startswith(MAGIC)


def unpack(kept: bytes) -> Image:
    """Return a packed image; its bytes have been checked."""
    _, entry, count, size_bytes = _HEADER.unpack_from(kept)
    start = _HEADER.size + count * _WORD.size
    records = _WORD.iter_unpack(kept[_HEADER.size : start])
    words = tuple(Word(at, _TARGETS[target], addend) for at, target, addend in records)
    return Image(kept[start : start + size_bytes], entry, words)


def place(image: Image) -> Callable[..., None]:
    """Put an image into memory and return its function, of the type `KERNEL_TYPE`.

    Raises
    ------
    OSError
        If the system does not let a process run code of its own making.
    """
    library = ctypes.CDLL(None, use_errno=True)
    memory = mmap.mmap(
        -1,
        len(image.code),
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
    )
    memory.write(image.code)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    addresses = {"": start} | {name: _address(library, name) for name in OUTSIDE}
    for at, outside, addend in image.words:
        _ADDRESS.pack_into(memory, at, addresses[outside] + addend)
    # Never writable and executable at once, which hardened systems refuse.
    if library.mprotect(ctypes.c_void_p(start), len(image.code), _PROTECTION_READ_EXECUTE):
        raise OSError(ctypes.get_errno(), "the system lets no compiled kernel run")
    # Never freed, not even as the interpreter ends: a daemon thread may still be running in it.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
    return KERNEL_TYPE(start + image.entry)


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
