"""Which photographs a preview shows, and the command that does to them what it shows."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING

from imgbatch.batch.scan import Selection, base_of, scan
from imgbatch.errors import Code, UsageError
from imgbatch.images.failures import READ_FORMATS
from imgbatch.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Album:
    """The photographs of a preview.

    Parameters
    ----------
    root
        The folder or the single file, as it was given.
    names
        The photographs' paths below the folder, in the order of their names.
    """

    root: Path
    names: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The photographs' files."""
        base = base_of(self.root)
        return tuple(base / name for name in self.names)


def open_album(root: Path) -> Album:
    """Find the photographs, by the suffixes of their names.

    Raises
    ------
    UsageError
        If there is nothing at that path, or no photograph in it.
    """
    if not root.exists():
        raise UsageError(
            Code.INPUT_MISSING, f"{root} does not exist; give a photograph or a folder"
        )
    found = (it.name for it in scan(root, Selection()) if it.failure is None)
    if root.is_dir():
        found = (name for name in found if name[name.rfind(".") :].lower() in IMAGE_SUFFIXES)
    names = tuple(sorted(found, key=_as_people_sort))
    if not names:
        raise UsageError(
            Code.INPUT_MISSING,
            f"{root} holds no photograph; imgbatch reads {READ_FORMATS}",
        )
    return Album(root, names)


def command_line(root: Path) -> str:
    """Return the imgbatch-client line for `root`, quoted for a shell; the page adds the factors.

    The results go beside the originals, to a folder of a name that nothing has yet.
    """
    base = root.resolve() if root.name in ("", "..") else root
    stem = base.name if base.is_dir() else base.stem
    endings = chain(["-adjusted"], (f"-adjusted-{number}" for number in count(2)))
    outputs = (base.with_name(stem + ending) for ending in endings)
    output = next(path for path in outputs if not path.exists())
    # No option parser may take a path for an option.
    paths = (f"./{path}" if str(path).startswith("-") else str(path) for path in (root, output))
    return shlex.join(["imgbatch-client", *paths])


def _as_people_sort(name: str) -> list[tuple[int, int, str]]:
    """Return a key that puts ``img2`` before ``img10``."""
    return [
        (0, int(part), part) if part.isdecimal() else (1, 0, part.casefold())
        for part in re.split(r"(\d+)", name)
        if part
    ]
