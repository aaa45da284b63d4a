"""The process that decodes for the preview: whatever it meets, the next photograph is shown."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.children import fork_servers_of, workers_of
from tests.support.fragile_worker import DIE, FAIL, HANG
from tests.support.photos import black_png, encoded
from tests.support.programs import wait_until

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, DamagedImage, LimitExceeded, WorkerFailed
from imgbatch.preview import process
from imgbatch.preview.process import RenderingProcess

Make = Callable[..., RenderingProcess]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(process, "RENDERER", "tests.support.fragile_renderer:main")
    made: list[RenderingProcess] = []

    def make_one(**options: float) -> RenderingProcess:
        made.append(RenderingProcess(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make_one
    for each in made:
        each.close()
    assert fork_servers_of(os.getpid()) == []


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return photograph(tmp_path / "good.jpg")


def photograph(path: Path, order: bytes = b"") -> Path:
    path.write_bytes(encoded(".jpg") + order)
    return path


def test_a_photograph_that_kills_its_decoder_is_told_and_the_next_is_shown(
    make: Make, good: Path, tmp_path: Path
) -> None:
    renderer = make()
    with pytest.raises(WorkerFailed) as caught:
        renderer.ask("size", photograph(tmp_path / "bad.jpg", DIE))
    assert caught.value.code is Code.WORKER_CRASHED
    assert "SIGSEGV" in caught.value.sentence
    assert renderer.ask("size", good) == (48, 32)


def test_a_photograph_that_takes_too_long_is_told_and_the_next_is_shown(
    make: Make, good: Path, tmp_path: Path
) -> None:
    renderer = make(time_limit_seconds=3.0)
    assert renderer.ask("size", good) == (48, 32)
    with pytest.raises(WorkerFailed) as caught:
        renderer.ask("size", photograph(tmp_path / "bad.jpg", HANG))
    assert caught.value.code is Code.IMAGE_TIMEOUT
    assert renderer.ask("size", good) == (48, 32)


def test_a_bug_is_told_with_its_exception(make: Make, tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match="RuntimeError: a bug"):
        make().ask("size", photograph(tmp_path / "bad.jpg", FAIL))


def test_a_neighbour_that_kills_the_decoder_is_not_the_fault_of_the_one_that_is_shown(
    make: Make, good: Path, tmp_path: Path
) -> None:
    renderer = make()
    bad = photograph(tmp_path / "bad.jpg", DIE)
    for _ in range(5):
        renderer.ask("whole", good, Adjustment(), 40, 40, (bad,))
        (worker,) = workers_of(os.getpid())
        wait_until(lambda worker=worker: worker not in workers_of(os.getpid()), "it died of bad")
        assert renderer.ask("size", good) == (48, 32)


def test_what_can_not_be_decoded_or_read_is_told_as_it_is(
    make: Make, good: Path, tmp_path: Path
) -> None:
    renderer = make()
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(good.read_bytes()[:-200])
    with pytest.raises(DamagedImage):
        renderer.ask("whole", damaged, Adjustment(), 40, 40)
    with pytest.raises(FileNotFoundError):
        renderer.ask("size", tmp_path / "gone.jpg")


def test_a_photograph_that_needs_more_memory_than_there_may_be_is_told(
    make: Make, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "worst_case_bytes", lambda _limits, _files: 150 << 20)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(black_png(9000, 9000))
    renderer = make()
    with pytest.raises(LimitExceeded) as caught:
        renderer.ask("whole", bomb, Adjustment(), 40, 40)
    assert caught.value.code is Code.OUT_OF_MEMORY
    assert renderer.ask("size", good) == (48, 32)


def test_closing_does_not_wait_for_a_photograph_that_hangs(make: Make, tmp_path: Path) -> None:
    renderer = make()
    bad = photograph(tmp_path / "bad.jpg", HANG)
    answers: list[object] = []

    def ask() -> None:
        try:
            renderer.ask("size", bad)
        except WorkerFailed as error:
            answers.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: workers_of(os.getpid()), "it is started")
    time.sleep(0.3)
    renderer.close()
    asking.join(30)
    assert len(answers) == 1
