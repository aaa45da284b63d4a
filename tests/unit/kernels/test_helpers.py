import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from imgbatch_kernels import helpers
from imgbatch_kernels.helpers import run_all


@pytest.fixture
def helped_by(monkeypatch):
    def use(pool: ThreadPoolExecutor) -> None:
        monkeypatch.setattr(helpers, "_helpers", lambda process: pool)

    return use


def test_one_thread_is_the_calling_one():
    used = []
    run_all(lambda part: used.append((part, threading.current_thread())), [(7,), (8,)], 1)
    here = threading.current_thread()
    assert used == [(7, here), (8, here)]


def test_the_parts_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=30)
    run_all(meeting.wait, [(), ()], 2)  # neither would leave without the other


def test_a_helper_stays_for_the_next_call(helped_by):
    meeting = threading.Barrier(2, timeout=30)
    seen = set()

    def meet() -> None:
        meeting.wait()
        seen.add(threading.current_thread())

    with ThreadPoolExecutor(4) as pool:
        helped_by(pool)
        for _ in range(5):
            run_all(meet, [(), ()], 2)
    assert len(seen - {threading.current_thread()}) == 1


def test_parts_that_no_helper_takes_run_in_the_calling_thread(helped_by):
    free = threading.Event()
    used = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(free.wait, 30)
        helped_by(pool)
        run_all(lambda part: used.append((part, threading.current_thread())), [(1,), (2,), (3,)], 3)
        free.set()
    here = threading.current_thread()
    assert used == [(1, here), (2, here), (3, here)]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_is_raised_when_no_part_runs_any_more(helped_by, failing):
    begun = threading.Barrier(3, timeout=30)
    unfinished = {0, 1, 2}

    def run(part: int) -> None:
        begun.wait()
        if part == failing:
            raise MemoryError("no room")
        time.sleep(0.05)
        unfinished.remove(part)

    with ThreadPoolExecutor(2) as pool:
        helped_by(pool)
        with pytest.raises(MemoryError, match="no room"):
            run_all(run, [(0,), (1,), (2,)], 3)
        assert unfinished == {failing}


def test_parts_run_here_when_no_thread_can_be_started_any_more(helped_by):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()  # as at the end of the interpreter
    helped_by(pool)
    used = []
    run_all(used.append, [(1,), (2,)], 2)
    assert used == [1, 2]
