"""Watching a run: a live display on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from imgbatch.batch.model import Status
from imgbatch.batch.tally import Tally
from imgbatch.engines.base import Stop
from imgbatch.text import count, digits, shown

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

_PLAIN_SECONDS = 5.0
_SAMPLE_SECONDS = 0.25
# A run that is over by then needs no display, nor the tenth of a second to import rich.
_FIRST_SECONDS = 0.4
_RATE_SECONDS = 20.0
"""Over which speeds are taken: one large photograph after many small ones says little."""
_MACHINES_SHOWN = 8


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
    over = threading.Event()
    show = _show_live if how == "auto" and sys.stderr.isatty() else _show_lines

    def show_if_it_lasts() -> None:
        if not over.wait(_FIRST_SECONDS):
            show(tally, stop, over)

    thread = threading.Thread(target=show_if_it_lasts, name="imgbatch-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=2)


def _show_lines(tally: Tally, stop: Stop, over: threading.Event) -> None:
    """Print a line every few seconds, and at once what is new: why nothing moves, or the end."""
    progress = progress_of(tally)
    last, told = time.monotonic(), None
    while True:
        sample(progress, tally)
        now, why = time.monotonic(), why_slow(tally, stop)
        if why not in {None, told} or (why is None and now - last >= _PLAIN_SECONDS):
            last, told = now, why or told
            line = why or progress_line(tally, progress)
            print(f"imgbatch: {shown(line)}", file=sys.stderr, flush=True)
        if over.wait(_SAMPLE_SECONDS):
            return


def _show_live(tally: Tally, stop: Stop, over: threading.Event) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    progress = progress_of(tally, console)
    with Live(
        console=console,
        get_renderable=lambda: display(tally, progress, stop),
        refresh_per_second=1 / _SAMPLE_SECONDS,
        transient=True,
    ):
        over.wait()


def progress_of(
    tally: Tally, console: Console | None = None, clock: Callable[[], float] | None = None
) -> Progress:
    """Return a bar for a run's bytes, with their speed, and a task without a bar for its images."""
    from rich import progress as parts

    progress = parts.Progress(
        parts.BarColumn(None),
        parts.TaskProgressColumn(),
        parts.DownloadColumn(),
        parts.TransferSpeedColumn(),
        parts.TimeRemainingColumn(),
        console=console,
        get_time=clock,
        speed_estimate_period=_RATE_SECONDS,
        expand=True,
    )
    progress.add_task("bytes", total=None)
    progress.add_task("images", total=None, visible=False)
    sample(progress, tally)
    return progress


def sample(progress: Progress, tally: Tally) -> None:
    """Take down how far a run is; from such samples come its speeds.

    Time in which nothing can move counts for none of them: they begin again after it.
    """
    size_bytes, images = progress.task_ids
    if tally.waiting is not None:
        for task in progress.task_ids:
            progress.reset(task)
    total = tally.planned_bytes if tally.plan_complete else None
    progress.update(size_bytes, completed=tally.done_bytes, total=total)
    progress.update(images, completed=tally.done_files)


def display(tally: Tally, progress: Progress, stop: Stop) -> RenderableType:
    """Return the live display: a bar, the figures, the machines, and why nothing moves."""
    from rich.console import Group
    from rich.text import Text

    sample(progress, tally)
    figures = ", ".join(_figures(tally, progress))
    line = partial(Text, no_wrap=True, overflow="ellipsis")
    lines = [line(figures), *(line(it, "dim") for it in _machines(tally))]
    why = why_slow(tally, stop)
    if why:
        lines.append(Text(shown(why), "yellow"))
    return Group(progress.get_renderable(), *lines)


def progress_line(tally: Tally, progress: Progress) -> str:
    """Return how far a run has come, on one line: the figures, and what stands beside the bar."""
    _, *columns = progress.columns
    beside = [str(it(progress.tasks[0])).strip() for it in columns if not isinstance(it, str)]
    return ", ".join([*_figures(tally, progress), *filter(None, beside)])


def why_slow(tally: Tally, stop: Stop) -> str | None:
    """Return why nothing moves, or that the run is being stopped."""
    if stop.now.is_set():
        return "stopping at once"
    if stop.gently.is_set():
        return "stopping: the images at hand are finished, 10 s at most; Ctrl-C again stops at once"
    return tally.waiting


def _figures(tally: Tally, progress: Progress) -> list[str]:
    more = "" if tally.plan_complete else "+"
    figures = [
        f"{tally.done_files:,} of {tally.planned_files:,}{more} images",
        f"{digits(progress.tasks[1].speed or 0)} images/s",
    ]
    counts = ((tally.ended[status], status) for status in (Status.FAILED, Status.SKIPPED))
    return figures + [f"{number:,} {status}" for number, status in counts if number]


def _machines(tally: Tally) -> list[str]:
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
