"""The kinds of values that options take: how each is written, checked and completed."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_UNITS = {
    "": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Value(click.ParamType[Any]):
    """A kind of value.

    Parameters
    ----------
    name
        What stands for it in help, manual and reference.
    read
        Returns the value that a text means; raises ValueError with what it must be instead, like
        ``an integer from 1``.
    words
        What a shell offers.
    completes
        What a shell offers where none of the words fits: ``file``, ``dir``, or nothing.
    multiple
        Whether it may be repeated.
    unit
        What the names of fields with such values end with.
    """

    name: str
    read: Callable[[str], Any] = str
    words: Sequence[str] = ()
    completes: str = ""
    multiple: bool = False
    unit: str = ""

    envvar_list_splitter: ClassVar[str] = os.pathsep

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value that a text, or a value of a settings file, means."""
        try:
            return self.read(str(value))
        except ValueError as error:
            self.fail(f"must be {error}, not {value!r}", param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Return what a shell offers; words win, since bash forgets them beside files."""
        from click.shell_completion import CompletionItem

        words = [CompletionItem(word) for word in self.words if word.startswith(incomplete)]
        return words or [CompletionItem(incomplete, type=self.completes)] * bool(self.completes)


class YesNo(click.types.BoolParamType):
    """Yes or no, as settings files and the environment say it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Return the truth value that a text, number or truth value means."""
        known = self.str_to_bool(str(value))
        if known is None:
            self.fail(f"must be yes or no, not {value!r}", param, ctx)
        return known


def integer(lowest: int, highest: int | None = None, metavar: str = "N") -> Value:
    """Return the kind of integers within a range."""
    limit = f" to {highest}" if highest is not None else ""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest or (highest is not None and value > highest):
            message = f"an integer from {lowest}{limit}"
            raise ValueError(message)
        return value

    return Value(metavar, read)


def or_word(word: str, meaning: Any, other: Value) -> Value:
    """Return a kind of values that takes a word as well: ``keep|N``."""

    def read(text: str) -> Any:
        if text == word:
            return meaning
        try:
            return other.read(text)
        except ValueError as error:
            message = f"{word!r} or {error}"
            raise ValueError(message) from None

    return Value(f"{word}|{other.name}", read, [word])


def choice(words: Iterable[str]) -> Value:
    """Return the kind of these words; of a StrEnum's members, if they are one."""
    known = list(words)

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(" or ".join((", ".join(known[:-1]), known[-1])))
        return known[known.index(text)]

    return Value("|".join(known), read, known)


def path(metavar: str, completes: str = "file") -> Value:
    """Return the kind of paths."""
    return Value(metavar, Path, completes=completes)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        message = "a number of seconds above 0"
        raise ValueError(message)
    return value


def _amount(text: str) -> int:
    found = re.fullmatch(r"([\d.]+) *([KMG]I?|)B?", text.upper())
    try:
        value = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        message = "a number from 1, like 1000000, 250M or 256MiB"
        raise ValueError(message)
    return value


YES_NO = YesNo()
SECONDS = Value("S", _seconds, unit="_seconds")
PROCS = or_word("auto", None, integer(1, 1000))
COUNT = Value("N", _amount)
SIZE = Value("SIZE", _amount)
"""Numbers from 1 with an optional unit: ``250M``, ``256MiB``, ``1000000``."""
PORT = integer(0, 65535, "PORT")
URL = Value("URL")
PEM = path("FILE.pem")
GLOBS = Value("GLOB", multiple=True)
