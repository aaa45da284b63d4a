from __future__ import annotations

import io
import sys
import threading

import pytest
from rich.console import Console

from imgbatch.batch.model import MachineUse, Status
from imgbatch.batch.tally import Tally
from imgbatch.cli.pace import Pace
from imgbatch.cli.progress import display, progress_line, watched, why_slow
from imgbatch.engines.base import Stop


@pytest.fixture
def tally() -> Tally:
    tally = Tally()
    tally.plan(1000, 2_000_000_000)
    for _ in range(250):
        tally.end(Status.WRITTEN, 2_000_000, 1_000_000, earlier=False)
    return tally


@pytest.fixture
def pace() -> Pace:
    pace = Pace()
    for second in range(11):
        pace.note(float(second), 25 * second, 50_000_000 * second)
    return pace


def shown(tally: Tally, pace: Pace, stop: Stop | None = None, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(display(tally, pace, stop or Stop(), console))
    return capture.get().splitlines()


def test_a_line_has_all_the_figures(tally: Tally, pace: Pace) -> None:
    tally.plan_complete = True
    tally.end(Status.FAILED, 0, 0, earlier=False)
    tally.end(Status.SKIPPED, 0, 0, earlier=False)
    assert progress_line(tally, pace) == (
        "25%, 252 of 1,000 images, 500 MB of 2.00 GB, 25.0 images/s, 50.0 MB/s, about 30 s left, "
        "1 failed, 1 skipped"
    )


def test_while_the_search_goes_on_nothing_is_promised(tally: Tally, pace: Pace) -> None:
    line = progress_line(tally, pace)
    assert "of 1,000+ images" in line
    assert "left" not in line
    assert "%" not in line


def test_the_display_fits_a_terminal_of_80_columns_and_of_40(tally: Tally, pace: Pace) -> None:
    tally.plan_complete = True
    tally.machines = [MachineUse(str(n), f"machine-{n}.example.org", 64, n * 9) for n in range(12)]
    for width in (80, 40):
        lines = shown(tally, pace, width=width)
        assert max(map(len, lines)) <= width
        assert lines[-1] == "and 4 more machines"


def test_the_bar_shows_the_share_of_bytes(tally: Tally, pace: Pace) -> None:
    tally.plan_complete = True
    assert shown(tally, pace)[0].count("━") == 20


def test_machines_are_shown_with_their_share(tally: Tally, pace: Pace) -> None:
    tally.machines = [MachineUse("a", "anna", 4, 30), MachineUse("b", "berta", 1, 10)]
    lines = shown(tally, pace)
    assert lines[-2:] == [
        "anna   4 processes, 30 images (75%)",
        "berta  1 process, 10 images (25%)",
    ]


def test_why_nothing_moves_is_said(tally: Tally, pace: Pace) -> None:
    tally.waiting = "no server is listening; waiting"
    stop = Stop()
    assert shown(tally, pace, stop)[-1] == tally.waiting
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


def test_none_shows_nothing(tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with watched("none", tally, Stop()):
        assert threading.active_count() == before
    assert capsys.readouterr() == ("", "")
