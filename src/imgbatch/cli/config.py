"""Options from where they were given: command line, preset, environment, settings file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imgbatch.cli.options import Kind, Option, Program
from imgbatch.cli.presets import PRESETS
from imgbatch.errors import Code, UsageError

PREFIX = "IMGBATCH_"
_TABLE = "imgbatch"
_WORDS = {
    "1": True, "yes": True, "true": True, "on": True,
    "0": False, "no": False, "false": False, "off": False, "": False,
}  # fmt: skip


def gather(
    program: Program, given: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return all options that were given anywhere, by key, the nearest source first.

    Parameters
    ----------
    given
        What the command line gave.

    Raises
    ------
    UsageError
        Naming the variable or the file, if a value there is not one the option takes.
    """
    from_environment = environment_options(program, environment)
    config = given.get("config", from_environment.get("config"))
    from_file = _settings_file_options(program, config, environment)
    farther = {**from_file, **from_environment}
    preset = given.get("preset", farther.get("preset"))
    return {**farther, **_preset_options(program, preset), **given}


def environment_options(program: Program, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that are set as ``IMGBATCH_…``, by key."""
    values = {}
    for option in program.options:
        variable = PREFIX + option.key.upper()
        if option.everywhere and environment.get(variable):
            values[option.key] = _value(option, environment[variable], variable)
    return values


def _settings_file_options(
    program: Program, config: Path | None, environment: Mapping[str, str]
) -> dict[str, Any]:
    if config is not None:
        return read_table(program, config)
    home = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    default = Path(home) / "imgbatch.toml"
    return read_table(program, default) if default.is_file() else {}


def _preset_options(program: Program, preset: str | None) -> dict[str, Any]:
    if preset is None:
        return {}
    if preset in PRESETS:
        return {name: value for name, value in asdict(PRESETS[preset]).items() if value}
    if preset.endswith(".toml"):
        return read_table(program, Path(preset))
    raise UsageError(
        Code.BAD_OPTION,
        f"--preset {preset} is none of {', '.join(PRESETS)}, and no .toml file",
    )


def read_table(program: Program, path: Path) -> dict[str, Any]:
    """Return the options in the ``[imgbatch]`` table of a TOML file.

    Raises
    ------
    UsageError
        If there is no such file or table, or something in it that is no option.
    """
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(_TABLE)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(Code.BAD_OPTION, f"{path} can't be read: {reason}") from error
    except ValueError as error:
        raise UsageError(Code.BAD_OPTION, f"{path} is no TOML file: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(Code.BAD_OPTION, f"{path} has no [{_TABLE}] table")
    known = {option.key: option for option in program.options if option.everywhere}
    values = {}
    for name, value in table.items():
        option = known.get(name.replace("-", "_"))
        if option is None:
            raise UsageError(Code.BAD_OPTION, f"{path}: {name} is no option of {program.name}")
        values[option.key] = _value(option, value, f"{path}: {name}")
    return values


def _value(option: Option, value: object, where: str) -> Any:
    """Return the value that a text, number or truth value means for an option."""
    if option.kind in {Kind.SWITCH, Kind.ON_OFF}:
        meaning = _WORDS.get(str(value).strip().lower())
        if meaning is None:
            raise UsageError(Code.BAD_OPTION, f"{where} is {value!r}; it takes yes or no")
        return meaning
    if option.kind is Kind.VALUES:
        texts = value if isinstance(value, list) else str(value).split(os.pathsep)
        return [option.value(str(text), where) for text in texts]
    return option.value(str(value), where)
