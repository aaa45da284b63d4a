"""Options from elsewhere than the command line: presets and settings files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from imgbatch.cli.options import Option, Program
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.programs import PROGRAMS
from imgbatch.errors import Code, UsageError
from imgbatch.text import os_reason

_TABLE = "imgbatch"


Tables = tuple[dict[str, Any], dict[str, Any]]


def settings_tables(program: Program, given: Mapping[str, Any]) -> Tables:
    """Return the values that the preset and the settings file have for a program, by field.

    Parameters
    ----------
    given
        What was typed.

    Raises
    ------
    UsageError
        Naming the file, if it can't be read or has something that is no option's value.
    """
    named = given.get("config") or os.environ.get("IMGBATCH_CONFIG")
    path = Path(named) if named else _default_file()
    file = {} if path is None else _read(program, path)
    preset = given.get("preset") or os.environ.get("IMGBATCH_PRESET") or file.get("preset")
    return _preset(program, preset) if "preset" in settable(program) else {}, file


def _default_file() -> Path | None:
    # A service may have no home, or one that it can't enter: then there is no file.
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    path = f"{home}/imgbatch.toml"
    return Path(path) if path.startswith("/") and os.path.isfile(path) else None  # noqa: PTH113


def _preset(program: Program, named: str | None) -> dict[str, Any]:
    if named is None:
        return {}
    if named in PRESETS:
        return {name: value for name, value in asdict(PRESETS[named]).items() if value}
    if named.endswith(".toml"):
        return _read(program, Path(named))
    raise UsageError(
        Code.BAD_OPTION,
        f"--preset must be {', '.join(PRESETS)} or the name of a .toml file, not {named!r}",
    )


def _read(program: Program, path: Path) -> dict[str, Any]:
    """Return the options of a program in the ``[imgbatch]`` table of a TOML file."""
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
    if option.multiple and not isinstance(value, list):
        value = str(value).split(os.pathsep)
    try:
        return option.type_cast_value(click.Context(click.Command(None)), value)
    except click.BadParameter as error:
        raise UsageError(Code.BAD_OPTION, f"{where} {error.message}") from error
