"""Where compiled kernels are kept, and how they are believed again.

One file for each depth, version of the sources, version of Numba and processor: a checksum and the
machine code. Files are renamed into place when they are whole, so that any number of processes may
warm up at once; a file that is damaged is not believed, but made anew.

The places, in this order:

1. ``$NUMBA_CACHE_DIR/imgbatch_kernels``, if the variable is set;
2. ``__pycache__`` beside this package;
3. ``$XDG_CACHE_HOME/imgbatch_kernels``, else ``~/.cache/imgbatch_kernels``.

All are read, also those that can't be written (a container whose image was warmed when it was
built); the first that can be written takes a new file. Because the files are run as code, a folder
or a file that anyone but this user or root could have written is neither read nor written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import warnings
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHECKSUM_BYTES = 32
_SOURCES = (
    "rows.py", "kernel.py", "layout.py", "fetching.py",
    "compiler.py", "machine.py", "linker.py", "image.py",
)  # fmt: skip
"""The files that decide what the code does and how it is called."""


class Unkept(RuntimeWarning):
    """Compiled kernels can be kept nowhere: every process compiles its own."""


def key(dtype_name: str, *versions: str) -> str:
    """Return the name of a kernel's file, different for all that could make its code differ.

    Parameters
    ----------
    dtype_name
        ``uint8`` or ``uint16``.
    versions
        Of the compiler, and what it compiles for.
    """
    return f"adjust-{dtype_name}-{digest_of((), versions)}.kernel"


def digest_of(sources: Iterable[Path], versions: Iterable[str]) -> str:
    """Return a word that differs for all that could make compiled code differ.

    Parameters
    ----------
    sources
        What is compiled, beside the files of this package.
    versions
        Of the compiler, and what it compiles for.
    """
    digest = blake2b(digest_size=16)
    for source in (*map(Path(__file__).with_name, _SOURCES), *sources):
        digest.update(source.read_bytes())
    for version in versions:
        digest.update(version.encode() + b"\0")
    return digest.hexdigest()


def read(name: str) -> bytes | None:
    """Return the machine code of a file, or None if it is nowhere, damaged or not to be trusted."""
    for place in places():
        with contextlib.suppress(OSError):
            content = _trusted_content(place, name)
            checksum, code = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
            if checksum == _checksum(name, code):
                return code
    return None


def write(name: str, code: bytes) -> Path | None:
    """Keep machine code in the first place that takes it and that `read` will trust.

    Returns
    -------
        The file, or None if no place could be written; then a warning `Unkept` says so, once.
    """
    reasons = []
    for place in places():
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_trusted(place.stat())
            _write_whole(place / name, _checksum(name, code) + code)
        except OSError as error:
            reasons.append(f"{place}: {error.strerror}")
        else:
            return place / name
    _warn_unkept("; ".join(reasons))
    return None


@cache
def _warn_unkept(reasons: str) -> None:
    warnings.warn(
        f"compiled kernels can't be kept ({reasons}), so every process spends seconds to compile "
        "them; set NUMBA_CACHE_DIR to a folder that you, and only you, can write",
        Unkept,
        stacklevel=3,
    )


def places() -> Iterator[Path]:
    """Yield the folders that may hold compiled kernels, best first."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        yield Path(chosen) / "imgbatch_kernels"
    yield Path(__file__).parent / "__pycache__"
    base = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # no home at all
        yield (Path(base) if base else Path.home() / ".cache") / "imgbatch_kernels"


def _write_whole(path: Path, content: bytes) -> None:
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".kernel-part")
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _trusted_content(folder: Path, name: str) -> bytes:
    """Read a file that only this user or root could have written.

    What is checked is what has been opened, not a path that may lead elsewhere a moment later.
    """
    folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _check_trusted(os.fstat(folder_descriptor))
        descriptor = os.open(name, os.O_RDONLY, dir_fd=folder_descriptor)
    finally:
        os.close(folder_descriptor)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        _check_trusted(os.fstat(descriptor))
        return file.read()


def _check_trusted(status: os.stat_result) -> None:
    """Raise a PermissionError if someone else could have written a file or folder."""
    if status.st_uid not in {0, os.geteuid()}:
        raise PermissionError(errno.EPERM, "it belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "its group or others may write it")


def _checksum(name: str, code: bytes) -> bytes:
    return blake2b(code, digest_size=_CHECKSUM_BYTES, key=blake2b(name.encode()).digest()).digest()
