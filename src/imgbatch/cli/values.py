"""The kinds of values that options take, beside click's own."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgbatch.errors import UsageError
from imgbatch.storage.places import location_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_UNITS = {
    "": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30,
}  # fmt: skip


class Place(click.Path):
    """A path, or the URL of what is in a store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Path` or an `ObjectPath`."""
        try:
            location = location_of(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return super().convert(location, param, ctx) if isinstance(location, Path) else location


PATH = click.Path(readable=False, path_type=Path)
PLACE = Place(readable=False, path_type=Path)
FOLDER = Place(readable=False, file_okay=False, path_type=Path)
GLOB = click.Path(readable=False)
PORT = click.IntRange(0, 65535)


class IntegerOrWord(click.IntRange):
    """An integer within a range, or a word that stands for None."""

    def __init__(self, word: str, lowest: int, highest: int) -> None:
        super().__init__(lowest, highest)
        self.name = f"integer or {word!r}"
        self.word = word

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the integer, or None."""
        return None if value == self.word else super().convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Return the word, if it begins so."""
        return click.Choice([self.word]).shell_complete(ctx, param, incomplete)


def choice(words: Iterable[str]) -> click.Choice[Any]:
    """Return the kind of these words, or of the members of a StrEnum."""
    return click.Choice(words, case_sensitive=False)


def seconds(text: str) -> float:
    """Return a number of seconds above 0."""
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    message = f"{text!r} is not a number of seconds above 0."
    raise ValueError(message)


def amount(text: str) -> int:
    """Return a number from 1 with an optional unit: ``250M``, ``256MiB``, ``1000000``."""
    found = re.fullmatch(r"([\d.]+) *([KMG]I?|)B?", text.upper())
    with suppress(ValueError, OverflowError):
        value = int(float(found[1]) * _UNITS[found[2]]) if found else 0
        if value >= 1:
            return value
    message = f"{text!r} is not a number from 1, like 1000000, 250M or 256MiB."
    raise ValueError(message)


def words_or_files(*words: str) -> Callable[..., list[CompletionItem[str]]]:
    """Return what offers a shell these words, and files where none of them fits."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        fitting = click.Choice(words).shell_complete(ctx, param, incomplete)
        return fitting or PATH.shell_complete(ctx, param, incomplete)

    return complete


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
        if self.listed != "-":
            return Path(self.listed)
        import shutil
        import tempfile

        self._kept = tempfile.NamedTemporaryFile(prefix="imgbatch-list-")  # noqa: SIM115
        shutil.copyfileobj(sys.stdin.buffer, self._kept)
        self._kept.flush()
        return Path(self._kept.name)
