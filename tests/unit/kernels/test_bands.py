import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from imgbatch_kernels import adjust, bands, reference

STRONG = {"brightness": 20, "contrast": 15, "sharpness": 60}


def make(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    highest = np.iinfo(dtype).max
    return np.random.default_rng(2).integers(0, highest, shape, dtype, endpoint=True)


@pytest.fixture
def tiny_bands(monkeypatch):
    monkeypatch.setattr(bands, "SAMPLES_PER_BAND", 1)


@pytest.mark.usefixtures("tiny_bands")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("threads", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("shape", [(41, 30, 3), (41, 30, 4), (5, 200), (1, 9), (2, 3, 2)])
def test_the_pixels_do_not_depend_on_the_number_of_threads(dtype, threads, shape):
    image = make(shape, dtype)
    expected = reference.adjust(image, **STRONG)
    np.testing.assert_array_equal(adjust(image, threads=threads, **STRONG), expected)
    mirrored = image[:, ::-1]
    expected_mirrored = reference.adjust(mirrored, **STRONG)
    np.testing.assert_array_equal(adjust(mirrored, threads=threads, **STRONG), expected_mirrored)
    adjust(image, out=image, threads=threads, **STRONG)
    np.testing.assert_array_equal(image, expected)


def test_a_large_image_is_shared_by_threads_and_a_small_one_is_not(monkeypatch):
    used = []
    real = bands._call
    meeting = threading.Barrier(2, timeout=30)

    def spy(*words):
        used.append(threading.current_thread())
        if words[0].image.size > bands.SAMPLES_PER_BAND:
            meeting.wait()  # a thread that had both bands would wait here for ever
        real(*words)

    monkeypatch.setattr(bands, "_call", spy)
    adjust(make((400, 500, 3)), threads=2, **STRONG)
    assert used == [threading.current_thread()]
    image = make((900, 800, 3))
    expected = reference.adjust(image, **STRONG)
    np.testing.assert_array_equal(adjust(image, threads=2, **STRONG), expected)
    assert len(set(used[1:])) == len(used[1:]) == 2


def test_an_error_in_a_band_is_raised_in_the_caller(monkeypatch):
    def fail(*words: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(bands, "_scratch", fail)
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


@pytest.mark.parametrize("stage_bytes", [1, 500, 4096])
def test_rows_with_gaps_pass_through_a_buffer_of_any_size(monkeypatch, stage_bytes):
    monkeypatch.setattr(bands, "STAGE_BYTES", stage_bytes)
    image = make((31, 80, 3))[:, ::2]
    expected = reference.adjust(image, **STRONG)
    np.testing.assert_array_equal(adjust(image, **STRONG), expected)
    adjust(image, out=image, **STRONG)
    np.testing.assert_array_equal(image, expected)


def test_no_temporary_is_as_large_as_the_image():
    import tracemalloc

    image = make((1500, 1000, 3))
    out = np.empty_like(image)
    mirrored = image[:, ::-1]
    adjust(image, out=out, **STRONG)
    for source in (image, mirrored):
        tracemalloc.start()
        adjust(source, out=out, threads=2, **STRONG)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak_bytes < image.nbytes / 4
