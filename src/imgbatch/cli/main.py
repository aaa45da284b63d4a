"""What all commands do alike: read their options, run, and end with a sentence and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from imgbatch.broker.address import exposes_password, redact, with_tls_files
from imgbatch.cli.config import Tables, settings_tables
from imgbatch.cli.options import Program, completion_variable, sentence_of
from imgbatch.cli.terminal import print_err
from imgbatch.errors import ImgbatchError

Action = Callable[[Mapping[str, Any]], int]
"""What a command does with the values that were given, by field; returns its exit status."""


def run(program: Program, action: Action, arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    arguments
        The command line; None: that of this process.
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
        return 130
    except click.UsageError as error:
        sentence, status = sentence_of(error, program), 2
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
    tables: list[Tables] = []

    # Not before an option asks for them: --help works whatever is in the files.
    def read_once(given: Mapping[str, Any]) -> Tables:
        if not tables:
            tables.append(settings_tables(program, given))
        return tables[0]

    with program.make_context(program.name, list(arguments), obj=read_once) as context:
        return {name: it for name, it in context.params.items() if it is not None and it != ()}


def _reachable(name: str, given: Mapping[str, Any]) -> str:
    """Return the broker's URL with the files for TLS; warn of a password that others may read."""
    url = str(given["broker"])
    if exposes_password(url):
        print_err(
            f"{name}: warning: the password for {redact(url)} is sent without TLS; use amqps:// "
            "unless the network is your own"
        )
    return with_tls_files(url, *(given.get(f"tls_{what}") for what in ("ca", "cert", "key")))
