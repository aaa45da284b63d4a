"""Options from elsewhere than the command line: presets and settings files."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from imgbatch.cli.option_types import Option, Program
from imgbatch.cli.options import PROGRAMS
from imgbatch.cli.presets import PRESETS
from imgbatch.errors import Code, UsageError
from imgbatch.text import os_reason

_TABLE = "imgbatch"


def default_file() -> Path | None:
    """Return the settings file of this user, if there is one."""
    # A service may have no home, or one that it can't enter: then there is no file.
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    path = f"{home}/imgbatch.toml"
    return Path(path) if path.startswith("/") and os.path.isfile(path) else None  # noqa: PTH113


def read_preset(program: Program, named: str) -> dict[str, Any]:
    """Return the values of a preset, or of the TOML file that is named in its place, by field."""
    if named in PRESETS:
        return {name: value for name, value in asdict(PRESETS[named]).items() if value}
    if named.endswith(".toml"):
        return read_settings(program, Path(named))
    raise UsageError(
        Code.BAD_OPTION,
        f"--preset must be {', '.join(PRESETS)} or the name of a .toml file, not {named!r}",
    )


def read_settings(program: Program, path: Path) -> dict[str, Any]:
    """Return the values that a settings file has for a program, by field.

    Raises
    ------
    UsageError
        Naming the file, if it can't be read or has something that is no option's value.
    """
    values, options = {}, settable(program)
    for name, value in _table(path).items():
        key = name.replace("_", "-")
        if key in options:
            values[str(options[key].name)] = _value(options[key], value, f"{path}: {name}")
        elif not any(key in settable(other) for other in PROGRAMS):
            raise UsageError(Code.BAD_OPTION, f"{path}: there is no option {name}")
    return values


def settable(program: Program) -> dict[str, Option]:
    """Return the options that settings files and the environment may set, by key."""
    options = (option for option in program.options if isinstance(option, Option))
    return {option.key: option for option in options if option.everywhere}


def _table(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(_TABLE)
    except OSError as error:
        reason = os_reason(error)
        raise UsageError(Code.BAD_OPTION, f"{path} can't be read: {reason}") from error
    except ValueError as error:
        raise UsageError(Code.BAD_OPTION, f"{path} is not a TOML file: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(Code.BAD_OPTION, f"{path} has no [{_TABLE}] table")
    return table


def _value(option: Option, value: Any, where: str) -> Any:
    if option.multiple:
        value = map(str, value if isinstance(value, list) else str(value).split(os.pathsep))
    else:
        value = str(value)
    try:
        return option.type_cast_value(click.Context(click.Command(None)), value)
    except click.BadParameter as error:
        raise UsageError(Code.BAD_OPTION, f"{where}: {error.message}") from error
