"""imgbatch-client: from the command line to a run, and from its report to the terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from imgbatch.adjustment import Adjustment
from imgbatch.batch.rows import printable
from imgbatch.batch.scan import Selection
from imgbatch.batch.tally import Tally
from imgbatch.broker.address import hide_password
from imgbatch.cli.client_options import CLIENT
from imgbatch.cli.config import gather
from imgbatch.cli.options import parse
from imgbatch.engines.base import Stop
from imgbatch.errors import Code, ImgbatchError, UsageError
from imgbatch.images.limits import Limits
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat, PngLevel, Progressive, Recipe
from imgbatch.settings import Existing, Settings

GRACE_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-client and return its exit status."""
    given = parse(CLIENT, arguments)
    try:
        options = gather(CLIENT, given, os.environ)
        _refuse_without_broker(given, options)
        return _run(options, arguments)
    except ImgbatchError as error:
        _tell(f"imgbatch-client: {error}")
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("IMGBATCH_TRACEBACK"):
            raise
        _tell(
            f"imgbatch-client: this is an error of imgbatch, please report it: {error!r} "
            "(IMGBATCH_TRACEBACK=1 shows where)"
        )
        return 3


def _run(options: Mapping[str, Any], arguments: Sequence[str] | None) -> int:
    if options.get("explain"):
        from imgbatch.cli.explain import explain

        _print(explain(_adjustment(options)))
        return 0
    settings = settings_of(options)
    if options.get("dry_run"):
        return _show_plan(settings)
    command = ["imgbatch-client", *(sys.argv[1:] if arguments is None else arguments)]
    return _carry_out(settings, options, [hide_password(word) for word in command])


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
        recipe=Recipe(_adjustment(options), _encoding(options)),
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


def _refuse_without_broker(given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    # Only on the command line: a settings file may well be meant for runs of both kinds.
    for name in ("machines", "timeout", "mixed_fleet"):
        if name in given and not options.get("broker"):
            raise UsageError(
                Code.BAD_OPTION,
                f"--{name.replace('_', '-')} is for runs on other machines; give --broker URL as "
                "well, or leave it out",
            )


def _adjustment(options: Mapping[str, Any]) -> Adjustment:
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

    descriptor, name = tempfile.mkstemp(prefix="imgbatch-list-")
    kept = Path(name)
    atexit.register(kept.unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return kept


def _show_plan(settings: Settings) -> int:
    """Print what a run would do, a line for each file."""
    from imgbatch.cli.wording import count, size
    from imgbatch.run import planned_files

    files, size_bytes, left_alone = 0, 0, 0
    for found, target in planned_files(settings):
        if found.failure is not None:
            left_alone += 1
            _print(found.failure.sentence)
            continue
        files += 1
        size_bytes += found.size_bytes
        _print(f"{found.name} -> {settings.target / target}")
    rest = f"; {left_alone:,} left alone" if left_alone else ""
    _tell(
        f"Dry run: {count(files, 'file')} ({size(size_bytes)}) would be read{rest}; those that are "
        "images would be written. Nothing was."
    )
    return 0


def _carry_out(settings: Settings, options: Mapping[str, Any], command: Sequence[str]) -> int:
    from imgbatch.cli.progress import watched
    from imgbatch.cli.summary import summary_lines
    from imgbatch.run import execute

    tally, stop = Tally(), Stop()
    progress = options.get("progress", "auto")
    with interruptible(stop), watched(progress, tally, stop):
        report = execute(settings, tally, stop)
    if options.get("json"):
        _print(json.dumps({**report.summary(), "report": str(report.path)}, indent=2))
    for line in summary_lines(report, command):
        _tell(line)
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


def _print(text: str) -> None:
    """Print on standard output, as long as somebody reads it."""
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        # Whoever read it has seen enough; neither the rest nor the end of the interpreter,
        # which flushes once more, is to complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(line: str) -> None:
    """Print a line on standard error; that nobody reads it any more is no reason to fail."""
    with suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)
