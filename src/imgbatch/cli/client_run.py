"""From the options of imgbatch-client to a run, and from its report to the terminal."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from imgbatch.batch.tally import Tally
from imgbatch.broker.address import hide_password
from imgbatch.cli.terminal import print_err, print_out
from imgbatch.engines.base import Stop
from imgbatch.settings import Settings, exclude
from imgbatch.text import count, shown_name, size

if TYPE_CHECKING:
    from imgbatch.workers.forkserver import ForkServer

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0


def show_plan(settings: Settings) -> int:
    """Print what a run would do, a line for each file."""
    if settings.watch:
        exclude("--watch", "--dry-run")
    from imgbatch.run import planned_files

    files, size_bytes, left_alone = 0, 0, 0
    for found, target in planned_files(settings):
        if found.failure is not None:
            left_alone += 1
            print_out(shown_name(found.failure.sentence))
            continue
        files += 1
        size_bytes += found.size_bytes
        print_out(shown_name(f"{found.name} -> {settings.target / target}"))
    rest = f"; {left_alone:,} left alone" if left_alone else ""
    print_err(
        f"Dry run: {count(files, 'file')} ({size(size_bytes)}) would be read{rest}; those that are "
        "images would be written. Nothing was."
    )
    return 0


def carry_out(
    settings: Settings,
    given: Mapping[str, Any],
    command: Sequence[str],
    ahead: ForkServer | None,
) -> int:
    """Run a batch, show how far it is and what became of it, and return the exit status.

    Parameters
    ----------
    given
        The options, of which it takes how the run is shown.
    command
        What was typed, to be named where more of it would help.
    ahead
        What starts worker processes, itself started already.
    """
    from imgbatch.cli.progress import watched
    from imgbatch.cli.summary import summary_lines
    from imgbatch.logs import log_to_stderr
    from imgbatch.run import execute
    from imgbatch_kernels import compiled

    tell: Callable[[str], None] = print_err
    progress = given.get("progress", "auto")
    if given.get("log_format") == "json":
        log_to_stderr(verbose=False, log_format="json")
        tell, progress = log.info, "none"
    problem = compiled.problem() if settings.rabbit is None else None
    if problem is not None:
        tell(f"imgbatch-client: {problem}")
    tally, stop = Tally(), Stop()
    with interruptible(stop), watched(progress, tally, stop):
        report = execute(settings, tally, stop, ahead)
    if given.get("json"):
        print_out(json.dumps({**report.summary(), "report": str(report.path)}, indent=2))
    for line in summary_lines(report, [hide_password(word) for word in command]):
        tell(line)
    return report.exit_status


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the end of the terminal stop a run, for as long as the block lasts.

    The first lets the images at hand finish, for ten seconds at most; the second does not wait.
    """
    deadline = threading.Timer(GRACE_SECONDS, stop.now.set)
    deadline.daemon = True

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if stop.gently.is_set():
            stop.now.set()
            signal.signal(signal.SIGINT, signal.default_int_handler)
        else:
            stop.gently.set()
            deadline.start()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        deadline.cancel()
