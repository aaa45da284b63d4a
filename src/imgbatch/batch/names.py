"""The names under which results appear, and what stands in their way.

All is checked before anything is written: two inputs can share an output name if ``--format``, or a
format that is only read, changes suffixes, or if the output's file system does not tell capitals
from small letters, or one way to write an accent from the other.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from imgbatch.batch.objects import Inventory
from imgbatch.batch.write import create_new
from imgbatch.errors import Code, FileError, UsageError
from imgbatch.images.formats import FORMATS, HEAD_BYTES
from imgbatch.recipe import OutputFormat
from imgbatch.storage.places import Location, ObjectPath
from imgbatch.storage.store import read_head

_SHOWN = 3
_WRITTEN_AS = {
    suffix: known.written_as
    for known in FORMATS.values()
    for suffix in known.suffixes
    if known.written_as
}


@dataclass(frozen=True, slots=True)
class Naming:
    """How an output name is made.

    Parameters
    ----------
    output_format
        ``keep`` keeps each name, but of formats that are only read; the others give it their
        suffix, unless it has one of theirs.
    folds
        Whether the output's file system takes names for equal that differ only in capitals or
        in the way accents are written.
    """

    output_format: OutputFormat = OutputFormat.KEEP
    folds: bool = False

    def target(self, name: str) -> str:
        """Return the output's path below the output folder."""
        stem, suffix = os.path.splitext(name)  # noqa: PTH122  # no Path for each of 100,000 names
        written_as: str = self.output_format
        if self.output_format is OutputFormat.KEEP:
            written_as = _WRITTEN_AS.get(suffix.lower(), "")
            if not written_as:
                return name
        suffixes = FORMATS[written_as].suffixes
        return name if suffix.lower() in suffixes else stem + suffixes[0]

    def key(self, name: str) -> str:
        """Return what is equal for inputs that share an output name."""
        target = self.target(name)
        return unicodedata.normalize("NFC", target).casefold() if self.folds else target


def refuse_collisions(names: Callable[[], Iterator[str]], base: Location, naming: Naming) -> None:
    """Refuse a run in which two images would share one output name.

    Files that are no images have no output, so ``notes.txt`` may stand beside ``notes.jpg``.

    Parameters
    ----------
    names
        Gives all inputs' names, from the first, at each call; only their hashes are held.
    base
        The folder they are relative to.

    Raises
    ------
    UsageError
        Naming the first such files.
    """
    shared = _repeated(naming.key(name) for name in names())
    if not shared:
        return
    groups: dict[str, list[str]] = {}
    for name in names():
        key = naming.key(name)
        if hash(key) in shared and _looks_like_an_image(base / name):
            groups.setdefault(key, []).append(name)
    for group in groups.values():
        if len(group) > 1:
            raise UsageError(
                Code.NAME_COLLISION,
                f"{' and '.join(sorted(group)[:_SHOWN])} in {base} would share the output name "
                f"{naming.target(sorted(group)[0])}; rename one, or leave one out with --exclude",
            )


def refuse_existing(names: Iterable[str], output: Inventory, naming: Naming) -> None:
    """Refuse a run that would replace what is already where results go.

    Raises
    ------
    UsageError
        Naming the first such files.
    """
    targets = map(naming.target, names)
    there = (target for target in targets if output.size_of(target) is not None)
    first = list(islice(there, _SHOWN + 1))
    if first:
        shown = ", ".join(first[:_SHOWN]) + (" and more" if len(first) > _SHOWN else "")
        raise UsageError(
            Code.OUTPUTS_EXIST,
            f"{output.place} already holds {shown}; --overwrite replaces what is there, --resume "
            "continues the run that wrote it, or choose another output folder",
        )


def folds_names(folder: Location) -> bool:
    """Whether ``A`` and ``a`` are one name in a folder; in no store they are.

    Raises
    ------
    OSError
        If no file can be made there.
    """
    if isinstance(folder, ObjectPath):
        return False
    probe = folder / f".imgbatch-probe-{os.getpid()}"
    os.close(create_new(probe))
    try:
        return probe.with_name(probe.name.upper()).exists()
    finally:
        probe.unlink()


def _repeated(keys: Iterable[str]) -> set[int]:
    """Return the hashes that occur more than once: 100,000 names in 6 MB."""
    seen: set[int] = set()
    repeated: set[int] = set()
    for key in keys:
        number = hash(key)
        (repeated if number in seen else seen).add(number)
    return repeated


def _looks_like_an_image(path: Location) -> bool:
    try:
        if isinstance(path, ObjectPath):
            head = read_head(path, HEAD_BYTES)
        else:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                head = file.read(HEAD_BYTES) or b""
    except (OSError, FileError):
        return False
    return any(candidate.matches(head) for candidate in FORMATS.values())
