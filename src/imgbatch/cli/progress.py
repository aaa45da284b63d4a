"""Watching a run: a live display on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgbatch.batch.tally import Tally
from imgbatch.cli.pace import Pace
from imgbatch.engines.base import Stop
from imgbatch.text import count, digits, duration, shown, size

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_PLAIN_SECONDS = 5.0
_LIVE_SECONDS = 0.25
# A run that is over by then needs no display, nor the tenth of a second to import rich.
_FIRST_LIVE_SECONDS = 0.4
_MACHINES_SHOWN = 8
_BAR_COLUMNS = 80


@contextmanager
def watched(how: str, tally: Tally, stop: Stop) -> Iterator[None]:
    """Show on standard error how a run goes on, for as long as the block lasts.

    Parameters
    ----------
    how
        ``auto``, ``plain`` or ``none``.
    """
    if how == "none":
        yield
        return
    live = how == "auto" and sys.stderr.isatty()
    over = threading.Event()
    show = _show_live if live else _show_lines
    thread = threading.Thread(
        target=show, args=(tally, stop, over), name="imgbatch-progress", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=2)


def _show_lines(tally: Tally, stop: Stop, over: threading.Event) -> None:
    """Print a line every few seconds, and at once when nothing moves, or moves again."""
    pace = Pace()
    last, told, stopping = time.monotonic(), None, False
    while not over.wait(_LIVE_SECONDS):
        now = time.monotonic()
        pace.note(now, tally.done_files, tally.done_bytes)
        news = tally.waiting != told or stop.gently.is_set() != stopping
        if not news and now - last < _PLAIN_SECONDS:
            continue
        last, told, stopping = now, tally.waiting, stop.gently.is_set()
        why = why_slow(tally, stop)
        print(f"imgbatch: {shown(why or progress_line(tally, pace))}", file=sys.stderr, flush=True)


def _show_live(tally: Tally, stop: Stop, over: threading.Event) -> None:
    if over.wait(_FIRST_LIVE_SECONDS):
        return
    from rich.console import Console
    from rich.live import Live

    pace = Pace()
    console = Console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            pace.note(time.monotonic(), tally.done_files, tally.done_bytes)
            live.update(display(tally, pace, stop, console), refresh=True)
            if over.wait(_LIVE_SECONDS):
                return


def display(tally: Tally, pace: Pace, stop: Stop, console: Console) -> RenderableType:
    """Return the live display: a bar, the figures, the machines, and why nothing moves."""
    from rich.console import Group
    from rich.text import Text

    lines = [
        _bar(tally, console),
        *(Text(line) for line in _figures(tally, pace)),
        *(Text(line, "dim") for line in _machine_lines(tally)),
    ]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    why = why_slow(tally, stop)
    if why:
        lines.append(Text(shown(why), "yellow"))
    return Group(*lines)


def _bar(tally: Tally, console: Console) -> Text:
    """Return the share of bytes that is done as a line, empty while the whole is not known."""
    from rich.text import Text

    width = min(console.width, _BAR_COLUMNS)
    known = tally.plan_complete and tally.planned_bytes
    filled = width * tally.done_bytes // tally.planned_bytes if known else 0
    done, open_ = ("━", "─") if console.encoding.startswith("utf") else ("#", "-")
    return Text.assemble((done * filled, "green"), (open_ * (width - filled), "bright_black"))


def progress_line(tally: Tally, pace: Pace) -> str:
    """Return how far a run has come, on one line."""
    return ", ".join(part for line in _figures(tally, pace) for part in line.split(" · "))


def why_slow(tally: Tally, stop: Stop) -> str | None:
    """Return why nothing moves, or that the run is being stopped."""
    if stop.now.is_set():
        return "stopping at once"
    if stop.gently.is_set():
        return "stopping: the images at hand are finished, 10 s at most; Ctrl-C again stops at once"
    return tally.waiting


def _figures(tally: Tally, pace: Pace) -> list[str]:
    more = "" if tally.plan_complete else "+"
    share = f"{tally.done_bytes / tally.planned_bytes:.0%}" if tally.planned_bytes else "0%"
    first = [
        f"{tally.done_files:,} of {tally.planned_files:,}{more} images",
        f"{size(tally.done_bytes)} of {size(tally.planned_bytes)}{more}",
    ]
    if tally.plan_complete:
        first.insert(0, share)
    second = [
        f"{digits(pace.images_per_second)} images/s",
        f"{size(pace.bytes_per_second)}/s",
    ]
    left = pace.seconds_left(tally.planned_bytes - tally.done_bytes)
    if left is not None and tally.plan_complete and tally.done_files < tally.planned_files:
        second.append(f"about {duration(left)} left")
    if tally.failed:
        second.append(f"{tally.failed:,} failed")
    if tally.skipped:
        second.append(f"{tally.skipped:,} skipped")
    return [" · ".join(first), " · ".join(second)]


def _machine_lines(tally: Tally) -> list[str]:
    machines = tally.machines
    if len(machines) < 2:
        return [f"{it.host}: {count(it.procs, 'process', 'processes')}" for it in machines]
    total = max(1, sum(machine.images for machine in machines))
    width = max(len(machine.host) for machine in machines)
    lines = [
        f"{machine.host:<{width}}  {count(machine.procs, 'process', 'processes')}, "
        f"{count(machine.images, 'image')} ({machine.images / total:.0%})"
        for machine in machines[:_MACHINES_SHOWN]
    ]
    if len(machines) > _MACHINES_SHOWN:
        lines.append(f"and {len(machines) - _MACHINES_SHOWN} more machines")
    return lines
