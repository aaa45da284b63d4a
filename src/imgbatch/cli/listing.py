"""The list of files that ``--files-from`` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path


class NameList:
    """A list of names that can be read again and again; standard input is kept for that.

    Parameters
    ----------
    listed
        The file's name; ``-`` is standard input, which is read when the first name is.

    Raises
    ------
    ValueError
        If there is no such file.
    """

    def __init__(self, listed: str) -> None:
        self.listed = listed
        if listed != "-" and not Path(listed).is_file():
            message = "a file, or - for standard input"
            raise ValueError(message)

    def __call__(self) -> Iterator[str]:
        """Yield the names: separated by NUL if there is one, by newlines if not."""
        with self._path.open("rb") as file:
            separator = b"\0" if b"\0" in file.read(1 << 16) else b"\n"
            file.seek(0)
            rest = b""
            while piece := file.read(1 << 16):
                *names, rest = (rest + piece).split(separator)
                yield from (os.fsdecode(name.rstrip(b"\r")) for name in names if name)
            if rest.strip():
                yield os.fsdecode(rest)

    @cached_property
    def _path(self) -> Path:
        return _kept_input() if self.listed == "-" else Path(self.listed)


def _kept_input() -> Path:
    import atexit
    import shutil
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix="imgbatch-list-")
    kept = Path(name)
    atexit.register(kept.unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return kept
