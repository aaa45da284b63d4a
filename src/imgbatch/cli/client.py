"""imgbatch-client: from the command line to what is to be done.

What only a run needs is imported after its workers' fork server has been started: both take about
0.1 s, and there are other cores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from imgbatch.cli.client_options import CLIENT
from imgbatch.cli.config import gather
from imgbatch.cli.options import parse
from imgbatch.cli.terminal import say, tell
from imgbatch.errors import Code, ImgbatchError, UsageError

if TYPE_CHECKING:
    from imgbatch.workers.forkserver import ForkServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-client and return its exit status."""
    given = parse(CLIENT, arguments)
    try:
        options = gather(CLIENT, given, os.environ)
        _refuse_without_broker(given, options)
        return _run(options, arguments)
    except ImgbatchError as error:
        tell(f"imgbatch-client: {error}")
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("IMGBATCH_TRACEBACK"):
            raise
        tell(
            f"imgbatch-client: this is an error of imgbatch, please report it: {error!r} "
            "(IMGBATCH_TRACEBACK=1 shows where)"
        )
        return 3


def _run(options: Mapping[str, Any], arguments: Sequence[str] | None) -> int:
    if options.get("explain"):
        from imgbatch.cli.client_run import adjustment_of
        from imgbatch.cli.explain import explain

        say(explain(adjustment_of(options)))
        return 0
    with _started_ahead(options) as ahead:
        from imgbatch.broker.address import hide_password
        from imgbatch.cli.client_run import carry_out, settings_of, show_plan

        settings = settings_of(options)
        if options.get("dry_run"):
            return show_plan(settings)
        command = ["imgbatch-client", *(sys.argv[1:] if arguments is None else arguments)]
        return carry_out(settings, options, [hide_password(word) for word in command], ahead)


@contextmanager
def _started_ahead(options: Mapping[str, Any]) -> Iterator[ForkServer | None]:
    """Start what starts worker processes, if these options are those of a run on this machine."""
    if options.get("broker") or options.get("dry_run") or not {"input", "output"} <= set(options):
        yield None
        return
    from imgbatch.engines.local import PRELOAD
    from imgbatch.workers.forkserver import ForkServer

    with ExitStack() as stack:
        ahead = None
        with suppress(OSError):  # which is for the engine to say
            ahead = stack.enter_context(ForkServer(PRELOAD))
        yield ahead


def _refuse_without_broker(given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    # Only on the command line: a settings file may well be meant for runs of both kinds.
    for name in ("machines", "timeout", "mixed_fleet"):
        if name in given and not options.get("broker"):
            raise UsageError(
                Code.BAD_OPTION,
                f"--{name.replace('_', '-')} is for runs on other machines; give --broker URL as "
                "well, or leave it out",
            )
