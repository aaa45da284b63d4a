import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from imgbatch_kernels import adjust, reference, threads
from imgbatch_kernels.threads import run_all

STRONG = {"brightness": 20, "contrast": 15, "sharpness": 60}


def make(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    highest = np.iinfo(dtype).max
    return np.random.default_rng(2).integers(0, highest, shape, dtype, endpoint=True)


@pytest.fixture
def tiny_bands(monkeypatch):
    monkeypatch.setattr(threads, "SAMPLES_PER_BAND", 1)


@pytest.mark.usefixtures("tiny_bands")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("shape", [(41, 30, 3), (41, 30, 4), (5, 200), (1, 9), (2, 3, 2)])
def test_the_pixels_do_not_depend_on_the_number_of_threads(dtype, count, shape):
    image = make(shape, dtype)
    expected = reference.adjust(image, **STRONG)
    np.testing.assert_array_equal(adjust(image, threads=count, **STRONG), expected)
    mirrored = image[:, ::-1]
    expected_mirrored = reference.adjust(mirrored, **STRONG)
    np.testing.assert_array_equal(adjust(mirrored, threads=count, **STRONG), expected_mirrored)
    adjust(image, out=image, threads=count, **STRONG)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("copied_rows", [1, 2, 3, 40])
@pytest.mark.parametrize("height", [1, 2, 3, 4, 7, 41])
def test_an_image_in_place_is_the_same_however_much_of_it_is_copied_at_a_time(
    dtype, copied_rows, height, monkeypatch
):
    image = make((height, 30, 4), dtype)
    monkeypatch.setattr(threads, "COPIED_BYTES", copied_rows * image[0].nbytes)
    expected = reference.adjust(image, **STRONG)
    adjust(image, out=image, **STRONG)
    np.testing.assert_array_equal(image, expected)


def test_a_large_image_is_shared_by_threads_and_a_small_one_is_not(monkeypatch):
    used = []
    real = threads._scratch
    meeting = threading.Barrier(2, timeout=30)
    is_large = threading.Event()

    def spy(size_bytes):
        used.append(threading.current_thread())
        if is_large.is_set():
            meeting.wait()  # a thread that had both bands would wait here for ever
        return real(size_bytes)

    monkeypatch.setattr(threads, "_scratch", spy)
    adjust(make((400, 500, 3)), threads=2, **STRONG)
    assert used == [threading.current_thread()]
    image = make((900, 800, 3))
    expected = reference.adjust(image, **STRONG)
    is_large.set()
    np.testing.assert_array_equal(adjust(image, threads=2, **STRONG), expected)
    assert len(set(used[1:])) == len(used[1:]) == 2


def test_an_error_in_a_band_is_raised_in_the_caller(monkeypatch):
    def fail(*words: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(threads, "_scratch", fail)
    with pytest.raises(MemoryError, match="no room"):
        adjust(make((900, 800, 3)), threads=2, **STRONG)


def test_many_threads_may_call_at_once():
    images = [make((100 + i, 120, 3)) for i in range(16)]
    expected = [reference.adjust(image, **STRONG) for image in images]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda image: adjust(image, **STRONG), images * 4))
    for result, wanted in zip(results, expected * 4, strict=True):
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_still_work_in_a_forked_child():
    image = make((900, 800, 3))
    expected = adjust(image, threads=2, **STRONG)
    child = os.fork()
    if child == 0:
        same = np.array_equal(adjust(image, threads=2, **STRONG), expected)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_no_temporary_is_as_large_as_the_image():
    import tracemalloc

    image = make((3000, 1000, 3))
    out = np.empty_like(image)
    adjust(image, out=out, **STRONG)
    tracemalloc.start()
    adjust(image, out=out, threads=2, **STRONG)
    adjust(image, out=image, **STRONG)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < image.nbytes / 4


@pytest.fixture
def helped_by(monkeypatch):
    def use(pool: ThreadPoolExecutor) -> None:
        monkeypatch.setattr(threads, "_helpers", lambda process: pool)

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
