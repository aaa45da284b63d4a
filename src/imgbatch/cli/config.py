"""Options from elsewhere than the command line: presets and settings files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from imgbatch.cli.options import Option, Program
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.programs import PROGRAMS
from imgbatch.errors import Code, UsageError

_TABLE = "imgbatch"


class SettingsTables:
    """What a preset and the settings file set, read when the first option asks for it.

    Not earlier, so that ``--help`` works whatever is in them.

    Parameters
    ----------
    program
        Whose options they set.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._tables: tuple[dict[str, Any], dict[str, Any]] | None = None

    def __call__(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values that the preset and the settings file have, by field.

        Parameters
        ----------
        given
            What was typed.

        Raises
        ------
        UsageError
            Naming the file, if it has a value that the option doesn't take.
        """
        if self._tables is None:
            file = self._file(given.get("config") or os.environ.get("IMGBATCH_CONFIG"))
            preset = given.get("preset") or os.environ.get("IMGBATCH_PRESET")
            self._tables = self._preset(preset or file.get("preset")), file
        return self._tables

    def _file(self, named: str | None) -> dict[str, Any]:
        if named:
            return self.read(Path(named))
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
        default = Path(home) / "imgbatch.toml"
        return self.read(default) if default.is_file() else {}

    def _preset(self, named: str | None) -> dict[str, Any]:
        if named is None or "preset" not in self._options:
            return {}
        if named in PRESETS:
            return {name: value for name, value in asdict(PRESETS[named]).items() if value}
        if named.endswith(".toml"):
            return self.read(Path(named))
        raise UsageError(
            Code.BAD_OPTION,
            f"--preset must be {', '.join(PRESETS)} or the name of a .toml file, not {named!r}",
        )

    def read(self, path: Path) -> dict[str, Any]:
        """Return the options of this program in the ``[imgbatch]`` table of a TOML file.

        Raises
        ------
        UsageError
            If there is no such file or table, or something in it that is no option.
        """
        values = {}
        for name, value in _table(path).items():
            key = name.replace("_", "-")
            option = self._options.get(key)
            if option is not None:
                values[str(option.name)] = _value(option, value, f"{path}: {name}")
            elif not any(key in settable(other) for other in PROGRAMS):
                raise UsageError(Code.BAD_OPTION, f"{path}: there is no option {name}")
        return values

    @cached_property
    def _options(self) -> dict[str, Option]:
        return settable(self.program)


def settable(program: Program) -> dict[str, Option]:
    """Return the options that settings files and the environment may set, by key."""
    options = (option for option in program.options if isinstance(option, Option))
    return {option.key: option for option in options if option.everywhere}


def _table(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(_TABLE)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(Code.BAD_OPTION, f"{path} can't be read: {reason}") from error
    except ValueError as error:
        raise UsageError(Code.BAD_OPTION, f"{path} is not a TOML file: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(Code.BAD_OPTION, f"{path} has no [{_TABLE}] table")
    return table


def _value(option: Option, value: Any, where: str) -> Any:
    if option.multiple and not isinstance(value, list):
        value = str(value).split(os.pathsep)
    try:
        return option.type_cast_value(click.Context(click.Command(None)), value)
    except click.BadParameter as error:
        raise UsageError(Code.BAD_OPTION, f"{where} {error.message}") from error
