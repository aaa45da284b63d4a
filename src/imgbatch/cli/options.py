"""Command-line options as data: parsers, settings files, completion and man pages come from it.

Each option is described once. Its `key` is its name everywhere else: ``image_timeout`` is
``--image-timeout`` on the command line, ``IMGBATCH_IMAGE_TIMEOUT`` in the environment and
``image-timeout`` in the ``[imgbatch]`` table of a TOML file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from textwrap import fill
from typing import Any, NoReturn

from imgbatch.cores import parse_procs
from imgbatch.errors import Code, UsageError
from imgbatch.version import __version__

SHELLS = ("bash", "zsh", "fish")
"""Those that ``--print-completion`` knows."""


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
        From the text that was given to the value; raises ValueError with what it takes instead,
        like ``a whole number from 1``.
    kind
        One value, several by repetition, none, or a pair of ``--x`` and ``--no-x``.
    choices
        The words that it takes, if only some.
    suggestions
        Words that it takes beside other values: what a shell offers too.
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
    suggestions: tuple[str, ...] = ()
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

    @property
    def value_name(self) -> str:
        """What stands for its value in help, manual and reference; empty if it has none."""
        if self.positional or self.kind in {Kind.SWITCH, Kind.ON_OFF}:
            return ""
        return "|".join(self.choices) or self.metavar

    @property
    def forms(self) -> tuple[str, ...]:
        """How it is written: ``--contrast N``, or ``--html`` and ``--no-html``."""
        if self.kind is Kind.ON_OFF:
            return (self.name, self.name.replace("--", "--no-", 1))
        return (f"{self.name} {self.value_name}".rstrip(),)

    def value(self, text: str, where: str) -> Any:
        """Return the value that a text means.

        Raises
        ------
        UsageError
            If it means none; the sentence begins with `where`, the place that the text is from.
        """
        try:
            if self.choices and text not in self.choices:
                raise ValueError(_listing(self.choices))
            return self.convert(text)
        except ValueError as error:
            raise UsageError(Code.BAD_OPTION, f"{where} is {text!r}; it takes {error}") from error


@dataclass(frozen=True, slots=True)
class Group:
    """Options that belong together under one heading of the help."""

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A command line, and what it is good for."""

    command: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """A paragraph with a heading."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """A command: its name, what it does, its options, examples, and how it ends.

    Parameters
    ----------
    synopsis
        The command line in one line.
    exit_statuses
        What each number means that it ends with.
    """

    name: str
    synopsis: str
    summary: str
    groups: tuple[Group, ...]
    examples: tuple[Example, ...] = ()
    remarks: tuple[Remark, ...] = ()
    exit_statuses: tuple[tuple[int, str], ...] = ()

    @property
    def options(self) -> tuple[Option, ...]:
        """All options, in the order of the help."""
        return tuple(option for group in self.groups for option in group.options)


COMMON = Group(
    "help",
    (
        Option("--help", "show this and exit", kind=Kind.SWITCH, everywhere=False),
        Option("--version", "show the version and exit", kind=Kind.SWITCH, everywhere=False),
        Option(
            "--print-completion",
            "print what makes this shell complete the command, and exit",
            choices=SHELLS,
            everywhere=False,
        ),
    ),
)
"""What each command has as well."""


def build_parser(program: Program) -> argparse.ArgumentParser:
    """Return the parser of a program; it returns only what was given, no defaults."""
    parser = argparse.ArgumentParser(
        prog=program.name,
        usage=program.synopsis,
        description=_filled(program.summary),
        epilog=_epilog(program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,
    )
    for group in program.groups:
        section = parser.add_argument_group(group.title)
        for option in group.options:
            name = option.key if option.positional else option.name
            section.add_argument(name, **_arguments(option))
    show_help, show_version, print_completion = COMMON.options
    rest = parser.add_argument_group(COMMON.title)
    rest.add_argument("-h", show_help.name, action="help", help=show_help.help)
    version = f"%(prog)s {__version__}"
    rest.add_argument(show_version.name, action="version", version=version, help=show_version.help)
    rest.add_argument(print_completion.name, **_arguments(print_completion))
    return parser


def _epilog(program: Program) -> str:
    lines = ["examples:"]
    for example in program.examples:
        lines.append(f"  {example.command}")
        lines += [_filled(example.meaning, "      ")] if example.meaning else []
    for remark in program.remarks:
        lines += ["", f"{remark.title}:", _filled(remark.text, "  ")]
    lines += ["", "exit status:"]
    for status, meaning in program.exit_statuses:
        lines.append(_filled(meaning, f"  {status:<5}", "       "))
    return "\n".join(lines)


def _filled(text: str, first: str = "", others: str | None = None) -> str:
    """Return a text in lines of less than 80 columns, with these indents."""
    rest = first if others is None else others
    return fill(text, 79, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def parse(program: Program, arguments: Sequence[str] | None) -> dict[str, Any]:
    """Return the options that were given, by key.

    Exits with 2 and a sentence on a mistake, and with 0 where only a text was asked for.
    """
    try:
        known, unknown = build_parser(program).parse_known_args(arguments)
    except UsageError as error:
        _refuse(program, error.sentence)
    except argparse.ArgumentError as error:
        _refuse(program, _misused(program, str(error.argument_name).split("/")[0]))
    if unknown:
        _refuse(program, _unknown(program, unknown[0]))
    given = {key: value for key, value in vars(known).items() if value is not None}
    if "print_completion" in given:
        from imgbatch.cli.completion import completion

        sys.stdout.write(completion(program, given["print_completion"]))
        sys.exit(0)
    return given


def _refuse(program: Program, sentence: str) -> NoReturn:
    # One sentence, and not below a screen of usage, where nobody would find it.
    sys.stderr.write(f"{program.name}: {sentence}\n")
    sys.exit(2)


def _misused(program: Program, name: str) -> str:
    for option in (*program.options, *COMMON.options):
        if option.name == name and option.value_name:
            return f"{name} needs a value: {' or '.join(option.forms)}"
    return f"{name} takes no value; leave out what follows the ="


def _unknown(program: Program, word: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is one argument too many; names with spaces need quotes around them"
    name = word.partition("=")[0]
    options = (*program.options, *COMMON.options)
    names = [form.split()[0] for option in options for form in option.forms]
    similar = get_close_matches(name, names, n=1)
    way_out = f"did you mean {similar[0]}?" if similar else "--help shows all options"
    return f"{name} is no option; {way_out}"


def _arguments(option: Option) -> dict[str, Any]:
    arguments: dict[str, Any] = {"help": option.help.replace("%", "%%")}
    if option.positional:
        return {**arguments, "action": _Take, "option": option, "nargs": "?"} | {
            "metavar": option.name
        }
    arguments |= {"default": argparse.SUPPRESS, "dest": option.key}
    match option.kind:
        case Kind.SWITCH:
            return {**arguments, "action": "store_true"}
        case Kind.ON_OFF:
            return {**arguments, "action": argparse.BooleanOptionalAction}
        case Kind.VALUE | Kind.VALUES:
            return {**arguments, "action": _Take, "option": option, "metavar": option.value_name}


class _Take(argparse.Action):
    """Store what an option was given as the value that it means."""

    def __init__(self, option: Option, **settings: Any) -> None:
        super().__init__(**settings)
        self._option = option

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        text: Any,
        _name: str | None = None,
    ) -> None:
        """Convert the text and keep it; where there may be several, beside the others."""
        option = self._option
        if text is None:
            return
        value = option.value(text, option.name)
        if option.kind is Kind.VALUES:
            value = [*getattr(namespace, option.key, ()), value]
        setattr(namespace, option.key, value)


def _listing(words: Sequence[str]) -> str:
    """Return ``bash, zsh or fish``."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def whole(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    """Return a conversion to a whole number within a range."""
    limit = f" to {highest}" if highest is not None else ""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest or (highest is not None and value > highest):
            message = f"a whole number from {lowest}{limit}"
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
        message = "a number of seconds above 0"
        raise ValueError(message)
    return value


def procs(text: str) -> int:
    """Convert ``auto`` to the number of cores this process may use, and a whole number from 1."""
    try:
        return parse_procs(text)
    except UsageError:
        message = "'auto' or a whole number from 1"
        raise ValueError(message) from None


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
        message = "a number from 1, like 1000000, 250M or 256MiB"
        raise ValueError(message)
    return value
