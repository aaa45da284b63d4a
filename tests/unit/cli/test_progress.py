from __future__ import annotations

import io
import sys
import threading
import time

import pytest
from rich.console import Console
from rich.progress import Progress

from imgbatch.batch.model import MachineUse, Status
from imgbatch.batch.tally import Tally
from imgbatch.cli.progress import (
    display,
    progress_line,
    progress_of,
    sample,
    watched,
    why_slow,
)
from imgbatch.engines.base import Stop


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def tally() -> Tally:
    """Return 250 of 1000 images of 2 MB each."""
    tally = Tally()
    tally.plan(1000, 2_000_000_000)
    for _ in range(250):
        tally.end(Status.WRITTEN, 2_000_000, 1_000_000, earlier=False)
    return tally


@pytest.fixture
def progress(tally: Tally) -> Progress:
    """Return what was seen of them: 25 a second."""
    clock = Clock()
    progress = progress_of(Tally(), clock=clock)
    for second in range(11):
        clock.seconds = float(second)
        seen = Tally(1000, 2_000_000_000, plan_complete=True)
        seen.done_files, seen.done_bytes = 25 * second, 50_000_000 * second
        sample(progress, seen)
    return progress


def shown(tally: Tally, progress: Progress, stop: Stop | None = None, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(display(tally, progress, stop or Stop()))
    return capture.get().splitlines()


def test_a_line_has_all_the_figures(tally: Tally, progress: Progress) -> None:
    tally.plan_complete = True
    tally.end(Status.FAILED, 0, 0, earlier=False)
    tally.end(Status.SKIPPED, 0, 0, earlier=False)
    sample(progress, tally)
    assert progress_line(tally, progress) == (
        "252 of 1,000 images, 25.2 images/s, 1 failed, 1 skipped, 25%, 0.5/2.0 GB, 50.0 MB/s, "
        "0:00:30"
    )


def test_while_the_search_goes_on_nothing_is_promised(tally: Tally) -> None:
    clock = Clock()
    progress = progress_of(Tally(), clock=clock)
    for clock.seconds in range(1, 9):
        sample(progress, Tally(done_files=25, done_bytes=50_000_000 * int(clock.seconds)))
    line = progress_line(tally, progress)
    assert "50.0 MB/s" in line
    assert "of 1,000+ images" in line
    assert "0:" not in line
    assert "%" not in line


def test_the_display_fits_a_terminal_of_80_columns_and_of_40(
    tally: Tally, progress: Progress
) -> None:
    tally.plan_complete = True
    tally.machines = [MachineUse(str(n), f"machine-{n}.example.org", 64, n * 9) for n in range(12)]
    for width in (80, 40):
        lines = shown(tally, progress, width=width)
        assert max(map(len, lines)) <= width
        assert lines[-1] == "and 4 more machines"


def test_the_bar_has_the_bytes_their_speed_and_the_time_that_is_left(
    tally: Tally, progress: Progress
) -> None:
    tally.plan_complete = True
    bar, figures = shown(tally, progress)
    assert bar.split()[1:] == ["25%", "0.5/2.0", "GB", "50.0", "MB/s", "0:00:30"]
    assert figures == "250 of 1,000 images, 25.0 images/s"


def test_only_the_last_while_counts() -> None:
    clock = Clock()
    progress = progress_of(Tally(), clock=clock)
    for second in range(240):
        clock.seconds = float(second)
        sample(progress, Tally(done_files=100 * second if second < 200 else 20_000 + second))
    assert ", 1.00 images/s" in progress_line(Tally(), progress)


def test_time_in_which_nothing_can_move_slows_no_estimate(tally: Tally) -> None:
    clock = Clock()
    progress = progress_of(tally, clock=clock)
    tally.plan_complete = True
    for second in range(1, 5):
        for _ in range(25):
            tally.end(Status.WRITTEN, 2_000_000, 1_000_000, earlier=False)
        clock.seconds += 1.0
        sample(progress, tally)
        if second == 3:
            tally.waiting = "compiling"
            clock.seconds += 60.0
            sample(progress, tally)
            tally.waiting = None
    line = progress_line(tally, progress)
    assert ", 25.0 images/s, " in line
    assert line.endswith(", 0:00:26")


def test_machines_are_shown_with_their_share(tally: Tally, progress: Progress) -> None:
    tally.machines = [MachineUse("a", "anna", 4, 30), MachineUse("b", "berta", 1, 10)]
    lines = shown(tally, progress)
    assert lines[-2:] == [
        "anna   4 processes, 30 images (75%)",
        "berta  1 process, 10 images (25%)",
    ]


def test_why_nothing_moves_is_said(tally: Tally, progress: Progress) -> None:
    tally.waiting = "no server is listening; waiting"
    stop = Stop()
    assert shown(tally, progress, stop)[-1] == tally.waiting
    stop.gently.set()
    assert "Ctrl-C again" in str(why_slow(tally, stop))
    stop.now.set()
    assert why_slow(tally, stop) == "stopping at once"


def test_where_there_is_no_terminal_a_reason_is_printed_at_once(
    tally: Tally, capsys: pytest.CaptureFixture[str]
) -> None:
    tally.waiting = "no server yet"
    heard = threading.Event()

    class Ear(io.StringIO):
        def write(self, text: str) -> int:
            if "no server yet" in text:
                heard.set()
            return super().write(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", Ear())
        with watched("auto", tally, Stop()):
            assert heard.wait(30)
    assert capsys.readouterr().out == ""


def test_a_reason_is_printed_once_however_long_it_lasts(
    tally: Tally, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("imgbatch.cli.progress._PLAIN_SECONDS", 0.0)
    monkeypatch.setattr("imgbatch.cli.progress._SAMPLE_SECONDS", 0.01)
    tally.waiting = "compiling the kernels"
    with watched("plain", tally, Stop()):
        time.sleep(0.6)
    tally.waiting = None
    assert capsys.readouterr().err == "imgbatch: compiling the kernels\n"


def test_none_shows_nothing(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with watched("none", tally, Stop()):
        assert threading.active_count() == before
    assert capsys.readouterr() == ("", "")
