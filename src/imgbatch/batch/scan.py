"""Finding the files of a run.

The rules:

- Files are found in the order in which the file system lists them; no list of them is held.
- A pattern without a slash is matched with a file's or a folder's name, one with a slash with
  its path below the input folder; ``*`` stops at slashes, ``**`` does not. Capitals do not
  matter, since cameras write ``IMG_0001.JPG``. A folder that is excluded is not entered.
- Names that begin with a dot are left alone: they are thumbnails, trash and version control.
- Links to files are followed. Links to folders are followed as well, after all that is no link,
  and no folder is entered twice, so that loops end.
- Pipes, sockets and devices are never opened; they are found, with the reason why not.
- Our own temporary files and the folders and files the caller leaves out do not exist.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar

from imgbatch.batch.model import Failure
from imgbatch.batch.write import is_temporary
from imgbatch.errors import Code, UsageError
from imgbatch.storage.places import Location, ObjectPath
from imgbatch.text import os_reason

T = TypeVar("T", Path, ObjectPath, Location)
_Identity: TypeAlias = tuple[int, int]
"""Device and inode."""
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


@dataclass(frozen=True)
class Selection:
    """Which files of the input folder are taken.

    Parameters
    ----------
    recursive
        Also those of the folders below it.
    include
        Patterns of which a file must match one; none: every file.
    exclude
        Patterns of which neither a file nor a folder above it may match any.
    hidden
        Also names that begin with a dot.

    Raises
    ------
    UsageError
        If a single pattern is given in place of several: each of its letters would be one.
    """

    recursive: bool = True
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False

    def __post_init__(self) -> None:
        for name in ("include", "exclude"):
            patterns = getattr(self, name)
            if isinstance(patterns, str):
                raise UsageError(
                    Code.BAD_OPTION, f"{name} must be a list of patterns, like [{patterns!r}]"
                )

    def takes_file(self, name: str) -> bool:
        """Whether a file, by its path below the input folder, is taken."""
        included = self._included is None or self._included.fullmatch(name) is not None
        return included and self.takes_folder(name) and not is_temporary(_last(name))

    def takes_folder(self, name: str) -> bool:
        """Whether a folder, by its path below the input folder, is entered."""
        if not self.hidden and _last(name).startswith("."):
            return False
        return self._excluded is None or self._excluded.fullmatch(name) is None

    def takes_path(self, name: str) -> bool:
        """Whether a file is taken that was not found by entering the folders above it."""
        folders = name.split("/")[:-1]
        if folders and not self.recursive:
            return False
        above = ("/".join(folders[: end + 1]) for end in range(len(folders)))
        return self.takes_file(name) and all(map(self.takes_folder, above))

    @cached_property
    def _included(self) -> re.Pattern[str] | None:
        return _compile(self.include)

    @cached_property
    def _excluded(self) -> re.Pattern[str] | None:
        return _compile(self.exclude)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was found.

    Parameters
    ----------
    name
        Its path below the input folder.
    size_bytes, modified_ns, mode
        What the file system says of it.
    etag
        What a store says of an object's content; empty for a file.
    failure
        Why it can't be an image of this run, if that is already plain.
    """

    name: str
    size_bytes: int = 0
    modified_ns: int = 0
    mode: int = 0
    etag: str = ""
    failure: Failure | None = None


class LeftOut:
    """Folders and files that are the run's own, such as its output folder and its report.

    A link gives a folder, and all below it, another name; so a folder is known by device and
    inode, and a file, which need not exist yet, by its name and the folder that it is in.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._own = set()
        for path in paths:
            self._own |= {(_identity(path.parent), path.name), (_identity(path), "")}

    def has(self, folder: _Identity | None, name: str = "") -> bool:
        """Whether what lies in a folder under a name is one of them; or the folder itself."""
        return (folder, name) in self._own


def walk(
    root: Path, selection: Selection, left_out: LeftOut | None = None
) -> Iterator[tuple[str, OSError | None]]:
    """Yield the path below `root` of each file that is taken, without looking at the files.

    A folder that can't be listed comes with the error. `root` may be a single file.
    """
    if not root.is_dir():
        yield root.name, None
        return
    left_out = left_out or LeftOut()
    entered: set[_Identity] = set()
    folders, links = [""], list[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        try:
            for entry in _entries(root / folder, left_out, entered):
                name = f"{folder}/{entry.name}" if folder else entry.name
                if not _is_folder(entry):
                    if selection.takes_file(name):
                        yield name, None
                elif selection.recursive and selection.takes_folder(name):
                    (links if entry.is_symlink() else folders).append(name)
        except OSError as error:
            yield folder or ".", error


def _entries(path: Path, left_out: LeftOut, entered: set[_Identity]) -> Iterator[os.DirEntry[str]]:
    """Yield what lies in a folder and is not left out; nothing if it was entered before."""
    seen = path.stat()
    identity = seen.st_dev, seen.st_ino
    if identity in entered or left_out.has(identity):
        return
    entered.add(identity)
    with os.scandir(path) as entries:
        yield from (entry for entry in entries if not left_out.has(identity, entry.name))


def scan(root: Path, selection: Selection, left_out: LeftOut | None = None) -> Iterator[Found]:
    """Yield each file that is taken, with what the file system says of it.

    Parameters
    ----------
    root
        The input folder, or a single file.
    left_out
        What lies below it and is the run's own.
    """
    base = base_of(root)
    for name, error in walk(root, selection, left_out):
        yield look_at(base, name) if error is None else _unreadable(base, name, error)


def scan_names(root: Path, names: Iterable[str]) -> Iterator[Found]:
    """Yield the files that a list names, by paths below `root` or by absolute ones.

    One that lies outside, or is not there, comes with the reason.
    """
    for name in names:
        below = os.path.relpath(root / name, root)
        if below == ".." or below.startswith("../"):
            sentence = f"{name} is listed, but lies outside of {root}"
            yield Found(name, failure=Failure(Code.UNREADABLE_FILE, sentence))
        else:
            yield look_at(root, below)


def look_at(base: Path, name: str) -> Found:
    """Return a file as it is now."""
    try:
        seen = (base / name).stat()
    except OSError as error:
        return _unreadable(base, name, error)
    failure = None
    if not stat.S_ISREG(seen.st_mode):
        kind = _KINDS.get(stat.S_IFMT(seen.st_mode), "no regular file")
        failure = Failure(Code.NOT_AN_IMAGE, f"{base / name} is {kind}, not an image; left alone")
    mode = stat.S_IMODE(seen.st_mode)
    return Found(name, seen.st_size, seen.st_mtime_ns, mode, failure=failure)


def base_of(root: T) -> T:
    """Return the folder to which the names of a run's files are relative."""
    return root if root.is_dir() else root.parent


def _unreadable(base: Path, name: str, error: OSError) -> Found:
    reason = os_reason(error)
    if error.errno in {errno.ENOENT, errno.ELOOP} and (base / name).is_symlink():
        reason = "it is a link that leads nowhere"
    sentence = f"{base / name} can't be read: {reason}"
    return Found(name, failure=Failure(Code.UNREADABLE_FILE, sentence))


def _identity(path: Path) -> _Identity | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _compile(patterns: Iterable[str]) -> re.Pattern[str] | None:
    alternatives = [_translate(pattern) for pattern in patterns]
    return re.compile("|".join(alternatives), re.IGNORECASE | re.DOTALL) if alternatives else None


_PARTS = re.compile(r"\*\*/|\*\*|\[!?\]?[^]]*\]|.", re.DOTALL)
_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _translate(pattern: str) -> str:
    """Return the regular expression of a pattern, for the path below the input folder."""
    text = pattern.rstrip("/")
    above = "" if "/" in text else "(?:.*/)?"
    parts = _PARTS.findall(text.removeprefix("./").removeprefix("/"))
    return f"(?:{above}{''.join(map(_translate_part, parts))})"


def _translate_part(part: str) -> str:
    if len(part) > 2 and part.startswith("["):
        inside = part[1:-1].replace("\\", "\\\\")
        return f"[{'^' + inside[1:] if inside.startswith('!') else inside}]"
    return _WILDCARDS.get(part) or re.escape(part)
