"""From the options of imgbatch-client to a run, and from its report to the terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from imgbatch.adjustment import Adjustment
from imgbatch.batch.scan import Selection
from imgbatch.batch.tally import Tally
from imgbatch.cli.terminal import say, tell
from imgbatch.engines.base import Stop
from imgbatch.errors import Code, UsageError
from imgbatch.images.limits import Limits
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat, PngLevel, Progressive, Recipe
from imgbatch.settings import Existing, Settings
from imgbatch.text import count, shown_name, size

if TYPE_CHECKING:
    from imgbatch.workers.forkserver import ForkServer

GRACE_SECONDS = 10.0


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Return the settings of a run from the options that were given.

    Raises
    ------
    UsageError
        If INPUT or OUTPUT is missing, or options exclude each other.
    """
    if "input" not in options or "output" not in options:
        raise UsageError(
            Code.BAD_OPTION,
            "give INPUT and OUTPUT, like: imgbatch-client photos/ out/ --contrast 20 "
            "(--help shows all options)",
        )
    _refuse_contradictions(options)
    limits = Limits()
    source = options["input"]
    return Settings(
        source=source,
        target=options["output"],
        recipe=Recipe(adjustment_of(options), _encoding(options)),
        selection=_selection(options),
        names=_listed_names(options.get("files_from")),
        watch=options.get("watch", False),
        existing=_existing(options),
        checksum=options.get("checksum", False),
        preserve=options.get("preserve", True),
        report=options.get("report"),
        html=options.get("html", True),
        limits=Limits(
            options.get("max_pixels", limits.max_pixels), options.get("max_bytes", limits.max_bytes)
        ),
        image_timeout_seconds=options.get("image_timeout", 120.0),
        procs=options.get("procs"),
        rabbit=_rabbit(options),
    )


def _refuse_contradictions(options: Mapping[str, Any]) -> None:
    for one, other in (("overwrite", "resume"), ("watch", "files_from"), ("watch", "dry_run")):
        if options.get(one) and options.get(other):
            names = " and ".join(f"--{name.replace('_', '-')}" for name in (one, other))
            raise UsageError(Code.BAD_OPTION, f"{names} exclude each other; leave one out")


def adjustment_of(options: Mapping[str, Any]) -> Adjustment:
    """Return what is to be done to the pixels."""
    return Adjustment(
        options.get("brightness", 0), options.get("contrast", 0), options.get("sharpness", 0)
    )


def _encoding(options: Mapping[str, Any]) -> Encoding:
    return Encoding(
        OutputFormat(options.get("format", OutputFormat.KEEP)),
        options.get("quality"),
        Progressive(options.get("progressive", Progressive.KEEP)),
        PngLevel(options.get("png_level", PngLevel.FAST)),
        options.get("strip", False),
        DamagedPolicy(options.get("damaged", DamagedPolicy.STRICT)),
    )


def _selection(options: Mapping[str, Any]) -> Selection:
    return Selection(
        options.get("recursive", True),
        tuple(options.get("include", ())),
        tuple(options.get("exclude", ())),
        options.get("hidden", False),
    )


def _existing(options: Mapping[str, Any]) -> Existing:
    if options.get("resume"):
        return Existing.RESUME
    return Existing.OVERWRITE if options.get("overwrite") else Existing.REFUSE


def _rabbit(options: Mapping[str, Any]) -> Any:
    broker = options.get("broker")
    if not broker:
        return None
    from imgbatch.engines.rabbitmq import RabbitOptions

    return RabbitOptions(
        broker,
        machines=options.get("machines"),
        timeout_seconds=options.get("timeout"),
        mixed_fleet=options.get("mixed_fleet", False),
    )


def _listed_names(listing: str | None) -> Callable[[], Iterator[str]] | None:
    """Return what reads a list of files anew at each call; standard input is kept for that."""
    if listing is None:
        return None
    path = _kept_input() if listing == "-" else Path(listing)
    if not path.is_file():
        raise UsageError(Code.BAD_OPTION, f"--files-from {listing} is no file")
    return lambda: names_in(path)


def names_in(path: Path) -> Iterator[str]:
    """Yield the names in a list: separated by NUL if there is one, by newlines if not."""
    with path.open("rb") as file:
        separator = b"\0" if b"\0" in file.read(1 << 16) else b"\n"
        file.seek(0)
        rest = b""
        while piece := file.read(1 << 16):
            *names, rest = (rest + piece).split(separator)
            yield from (os.fsdecode(name.rstrip(b"\r")) for name in names if name)
        if rest.strip():
            yield os.fsdecode(rest)


def _kept_input() -> Path:
    import atexit
    import shutil
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix="imgbatch-list-")
    kept = Path(name)
    atexit.register(kept.unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return kept


def show_plan(settings: Settings) -> int:
    """Print what a run would do, a line for each file."""
    from imgbatch.run import planned_files

    files, size_bytes, left_alone = 0, 0, 0
    for found, target in planned_files(settings):
        if found.failure is not None:
            left_alone += 1
            say(shown_name(found.failure.sentence))
            continue
        files += 1
        size_bytes += found.size_bytes
        say(shown_name(f"{found.name} -> {settings.target / target}"))
    rest = f"; {left_alone:,} left alone" if left_alone else ""
    tell(
        f"Dry run: {count(files, 'file')} ({size(size_bytes)}) would be read{rest}; those that are "
        "images would be written. Nothing was."
    )
    return 0


def carry_out(
    settings: Settings,
    options: Mapping[str, Any],
    command: Sequence[str],
    ahead: ForkServer | None,
) -> int:
    """Run a batch, show how far it is and what became of it, and return the exit status.

    Parameters
    ----------
    command
        What was typed, to be named where more of it would help.
    ahead
        What starts worker processes, itself started already.
    """
    from imgbatch.cli.progress import watched
    from imgbatch.cli.summary import summary_lines
    from imgbatch.run import execute
    from imgbatch_kernels.compiled import execution_problem

    problem = execution_problem() if settings.rabbit is None else None
    if problem is not None:
        tell(f"imgbatch-client: {problem}")
    tally, stop = Tally(), Stop()
    progress = options.get("progress", "auto")
    with interruptible(stop), watched(progress, tally, stop):
        report = execute(settings, tally, stop, ahead)
    if options.get("json"):
        say(json.dumps({**report.summary(), "report": str(report.path)}, indent=2))
    for line in summary_lines(report, command):
        tell(line)
    return report.exit_status


@dataclass(slots=True)
class _Interruption:
    """What signals do to a run: the first ends it gently, the second at once."""

    stop: Stop
    patience: threading.Timer | None = None

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self.stop.gently.is_set():
            self.stop.now.set()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return
        self.stop.gently.set()
        self.patience = threading.Timer(GRACE_SECONDS, self.stop.now.set)
        self.patience.daemon = True
        self.patience.start()


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the end of the terminal stop a run, for as long as the block lasts.

    The first lets the images at hand finish, for ten seconds at most; the second does not wait.
    """
    handler = _Interruption(stop)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        if handler.patience is not None:
            handler.patience.cancel()
