"""What all commands do alike: read their options, run, and end with a sentence and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from imgbatch.broker.address import exposes_password, redact, with_tls_files
from imgbatch.cli.config import default_file, read_preset, read_settings
from imgbatch.cli.option_types import Group, Program, completion_variable, forms_of
from imgbatch.cli.terminal import print_err
from imgbatch.errors import Code, ImgbatchError, UsageError

Action = Callable[[dict[str, Any]], int]
"""What a command does with the values that were given, by field; returns its exit status."""


def run(
    program: Program, action: Action, arguments: Sequence[str] | None, interrupted: int = 0
) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    arguments
        The command line; None: that of this process.
    interrupted
        The exit status if Ctrl-C ends it.
    """
    name = str(program.name)
    asked = os.environ.get(completion_variable(name))
    if asked:
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, name, completion_variable(name), asked)
    try:
        given = parse(program, sys.argv[1:] if arguments is None else arguments)
        if "broker" in given:
            given["broker"] = _reachable(name, given)
        return action(given)
    except click.exceptions.Exit as done:
        return done.exit_code
    except KeyboardInterrupt:
        return interrupted
    except click.UsageError as error:
        sentence, status = error.format_message(), 2
    except ImgbatchError as error:
        sentence, status = error.sentence, error.exit_status
    except Exception as error:
        if os.environ.get("IMGBATCH_TRACEBACK"):
            raise
        status = 3
        sentence = (
            f"this is an error of imgbatch, please report it: {error!r} "
            "(IMGBATCH_TRACEBACK=1 shows where)"
        )
    print_err(f"{name}: {sentence}")
    return status


def parse(program: Program, arguments: Sequence[str]) -> dict[str, Any]:
    """Return the options that were given anywhere, by field.

    Raises
    ------
    click.UsageError, UsageError
        If the command line, the environment or a file has a value that its option doesn't take.
    """
    with program.make_context(str(program.name), list(arguments)) as context:
        params, source_of = context.params, context.get_parameter_source
    typed = {it: params[it] for it in params if source_of(it) is ParameterSource.COMMANDLINE}
    environment = {it: params[it] for it in params if source_of(it) is ParameterSource.ENVIRONMENT}
    path = params["config"] or default_file()
    file = read_settings(program, path) if path else {}
    named = params.get("preset") or file.get("preset")
    preset = read_preset(program, named) if named else {}
    given = {**file, **environment, **preset, **typed}
    for group in program.groups:
        if group.needs and not given.get(group.needs):
            _refuse_alone(program, group, typed)
    return {name: value for name, value in given.items() if value is not None}


def _refuse_alone(program: Program, group: Group, typed: Mapping[str, Any]) -> None:
    needed = next(forms_of(it)[0] for it in program.options if it.name == group.needs)
    for option in group.options:
        if option.name in typed:
            raise UsageError(
                Code.BAD_OPTION,
                f"{option.opts[0]} has no meaning without {needed}; give both, or leave it out",
            )


def _reachable(name: str, given: Mapping[str, Any]) -> str:
    """Return the broker's URL with the files for TLS; warn of a password that others may read."""
    url = str(given["broker"])
    if exposes_password(url):
        print_err(
            f"{name}: warning: the password for {redact(url)} is sent without TLS; use amqps:// "
            "unless the network is your own"
        )
    return with_tls_files(url, *(given.get(f"tls_{what}") for what in ("ca", "cert", "key")))
