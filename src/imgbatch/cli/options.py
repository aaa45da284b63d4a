"""Command-line options as data: parsers, settings files, completion and man pages come from it.

Each option is described once. Its `key` is its name everywhere else: ``image_timeout`` is
``--image-timeout`` on the command line, ``IMGBATCH_IMAGE_TIMEOUT`` in the environment and
``image-timeout`` in the ``[imgbatch]`` table of a TOML file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imgbatch.errors import ImgbatchError
from imgbatch.version import __version__


class Kind(StrEnum):
    """What is written after an option's name."""

    VALUE = "value"
    VALUES = "values"
    SWITCH = "switch"
    ON_OFF = "on-off"


class Completes(StrEnum):
    """What a shell offers for an option's value."""

    NOTHING = "nothing"
    FILE = "file"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Option:
    """One option, or one positional argument if its name has no dashes.

    Parameters
    ----------
    name
        ``--brightness``, or ``INPUT``.
    help
        What it does, with its unit, range and default.
    metavar
        What stands for its value in the help.
    convert
        From the text that was given to the value; raises `ImgbatchError` or ValueError.
    kind
        One value, several by repetition, none, or a pair of ``--x`` and ``--no-x``.
    choices
        The words that it takes, if only some.
    completes
        What a shell offers.
    everywhere
        Whether settings files and the environment may set it too.
    """

    name: str
    help: str
    metavar: str = ""
    convert: Callable[[str], Any] = str
    kind: Kind = Kind.VALUE
    choices: tuple[str, ...] = ()
    completes: Completes = Completes.NOTHING
    everywhere: bool = True

    @property
    def positional(self) -> bool:
        """Whether it is an argument without a name."""
        return not self.name.startswith("-")

    @property
    def key(self) -> str:
        """Its name in settings files, in the environment and in code."""
        return self.name.lstrip("-").replace("-", "_").lower()


@dataclass(frozen=True, slots=True)
class Group:
    """Options that belong together under one heading of the help."""

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A command: its name, what it does, its options, and examples."""

    name: str
    summary: str
    groups: tuple[Group, ...]
    epilog: str = ""
    synopsis: str | None = field(default=None)

    @property
    def options(self) -> tuple[Option, ...]:
        """All options, in the order of the help."""
        return tuple(option for group in self.groups for option in group.options)


def build_parser(program: Program) -> argparse.ArgumentParser:
    """Return the parser of a program; it returns only what was given, no defaults."""
    parser = argparse.ArgumentParser(
        prog=program.name,
        usage=program.synopsis,
        description=program.summary,
        epilog=program.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    for group in program.groups:
        section = parser.add_argument_group(group.title)
        for option in group.options:
            name = option.key if option.positional else option.name
            section.add_argument(name, **_arguments(option))
    rest = parser.add_argument_group("help")
    rest.add_argument("-h", "--help", action="help", help="show this and exit")
    version = f"%(prog)s {__version__}"
    rest.add_argument("--version", action="version", version=version, help="show the version")
    return parser


def parse(program: Program, arguments: Sequence[str] | None) -> dict[str, Any]:
    """Return the options that were given, by key; exit with 2 and a sentence on a mistake."""
    return vars(build_parser(program).parse_args(arguments))


def _arguments(option: Option) -> dict[str, Any]:
    arguments: dict[str, Any] = {"help": option.help.replace("%", "%%")}
    if option.positional:
        return {**arguments, "type": _typed(option), "metavar": option.name, "nargs": "?"} | {
            "default": argparse.SUPPRESS
        }
    arguments |= {"default": argparse.SUPPRESS, "dest": option.key}
    match option.kind:
        case Kind.SWITCH:
            return {**arguments, "action": "store_true"}
        case Kind.ON_OFF:
            return {**arguments, "action": argparse.BooleanOptionalAction}
        case Kind.VALUES:
            arguments["action"] = "append"
        case Kind.VALUE:
            pass
    if option.choices:
        return {**arguments, "choices": option.choices}
    return {**arguments, "type": _typed(option), "metavar": option.metavar or None}


def _typed(option: Option) -> Callable[[str], Any]:
    """Return the conversion of an option as argparse wants it: with its kind of exception."""

    def convert(text: str) -> Any:
        try:
            return option.convert(text)
        except (ImgbatchError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def whole(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return a conversion to a whole number within a range."""
    limit = f" to {highest}" if highest is not None else ""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest or (highest is not None and value > highest):
            message = f"it is {text!r}; it takes a whole number from {lowest}{limit}"
            raise ValueError(message)
        return value

    return convert


def seconds(text: str) -> float:
    """Convert a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        message = f"it is {text!r}; it takes a number of seconds above 0"
        raise ValueError(message)
    return value


_UNITS = {
    "": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30,
}  # fmt: skip


def amount(text: str) -> int:
    """Convert a positive number with an optional unit: ``250M``, ``256MiB``, ``1000000``."""
    digits = text.rstrip("KMGkmgiIbB ")
    unit = text[len(digits) :].strip().upper().removesuffix("B")
    try:
        value = int(float(digits) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        value = 0
    if value < 1:
        message = f"it is {text!r}; it takes a number from 1, like 1000000, 250M or 256MiB"
        raise ValueError(message)
    return value
