"""What a worker writes in one process is what its pool reads in another."""

from __future__ import annotations

import os
import threading
import time

import pytest

from imgbatch.histograms import BUCKETS_SECONDS
from imgbatch.workers.status import (
    MOST_HISTOGRAMS,
    Figures,
    WorkerStatus,
    memory_of,
    shared_file,
)


def pair() -> tuple[WorkerStatus, WorkerStatus]:
    """Return both ends."""
    with shared_file() as file:
        return WorkerStatus(file.fileno()), WorkerStatus(file.fileno())


def test_a_new_status_says_nothing() -> None:
    _, seen = pair()
    assert seen.read() == Figures()


def test_what_is_written_at_one_end_is_read_at_the_other() -> None:
    ours, seen = pair()
    ours.note_process()
    ours.begin("a batch", 1)
    ours.end(0.25)
    before = time.monotonic()
    ours.begin("b" * 1000, 2**40)
    figures = seen.read()
    assert (figures.images, figures.busy_seconds, figures.pid) == (1, 0.25, os.getpid())
    assert figures.resident_bytes > 2**20
    assert (figures.batch, figures.job) == ("b" * 256, 2**40)
    assert before <= figures.since_seconds <= time.monotonic()


def test_durations_are_counted_by_the_first_bucket_that_holds_them() -> None:
    ours, seen = pair()
    for seconds in (0.001, BUCKETS_SECONDS[0], BUCKETS_SECONDS[1], 1000.0):
        ours.observe(MOST_HISTOGRAMS - 1, seconds)
    *counts, longer, total = seen.histograms[-1]
    assert counts == [2, 1, *[0] * (len(BUCKETS_SECONDS) - 2)]
    assert (longer, total) == (1, pytest.approx(1000.001 + sum(BUCKETS_SECONDS[:2])))


def test_an_image_that_is_done_is_no_longer_in_hand() -> None:
    ours, seen = pair()
    ours.begin("batch", 7)
    ours.end(0.1)
    assert (seen.read().batch, seen.read().job) == ("", -1)


def test_an_image_s_time_begins_again_when_a_kernel_is_compiled() -> None:
    ours, seen = pair()
    ours.begin("batch", 7)
    for why in ("a kernel", ""):
        before = time.monotonic()
        ours.note_waiting(why)
        assert (seen.read().waits_for, seen.read().job) == (why, 7)
        assert seen.read().since_seconds >= before


def test_no_reader_sees_the_time_of_one_image_with_the_number_of_the_next() -> None:
    ours, seen = pair()
    written: dict[int, str] = {}
    ended = threading.Event()
    found: list[Figures] = []

    def read() -> None:
        while not ended.is_set():
            found.append(seen.read())

    reader = threading.Thread(target=read)
    reader.start()
    deadline = time.monotonic() + 1.0
    job = 0
    while time.monotonic() < deadline:
        job += 1
        written[job] = str(job) * 20
        ours.begin(written[job], job)
    ended.set()
    reader.join()
    found = [figures for figures in found if figures.job >= 0]
    assert found
    assert [it for it in found if it.batch != written[it.job][:256]] == []
    since = [figures.since_seconds for figures in found]
    assert since == sorted(since)


def test_figures_that_were_not_written_to_their_end_are_not_believed() -> None:
    """As of a worker that was killed while it wrote them."""
    ours, seen = pair()
    ours.begin("batch", 1)
    before = seen.read()
    ours._memory[:1] = b"x"
    assert seen.read() == before


def test_a_process_holds_memory_and_one_that_is_gone_does_not() -> None:
    mapped, before = memory_of(os.getpid())
    ballast = os.urandom(32 * 2**20)
    assert memory_of(os.getpid())[1] - before > len(ballast) // 2
    assert mapped > before > 2**20
    assert memory_of(2**30) == (0, 0)
