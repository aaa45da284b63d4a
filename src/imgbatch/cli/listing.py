"""The list of files that ``--files-from`` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO


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
            message = f"{listed!r} is not a file, or - for standard input."
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
        return Path(self._kept_input.name if self.listed == "-" else self.listed)

    @cached_property
    def _kept_input(self) -> IO[bytes]:
        import shutil
        import tempfile

        kept = tempfile.NamedTemporaryFile(prefix="imgbatch-list-")  # noqa: SIM115 - kept by us
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        return kept
