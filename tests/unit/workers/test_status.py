"""What a worker writes in one process is what its pool reads in another."""

from __future__ import annotations

import os
import threading
import time

from imgbatch.workers.status import CurrentTask, WorkerStatus, memory_of, shared_file


def pair() -> tuple[WorkerStatus, WorkerStatus]:
    """Return both ends."""
    descriptor = shared_file()
    try:
        return WorkerStatus(descriptor), WorkerStatus(descriptor)
    finally:
        os.close(descriptor)


def test_a_new_status_says_nothing() -> None:
    _, seen = pair()
    assert (seen.current, seen.images, seen.busy_seconds, seen.pid) == (None, 0, 0.0, 0)


def test_what_is_written_at_one_end_is_read_at_the_other() -> None:
    ours, seen = pair()
    ours.note_process()
    ours.begin("a batch", 1)
    ours.end(0.25)
    before = time.monotonic()
    ours.begin("b" * 1000, 2**40)
    assert (seen.images, seen.busy_seconds, seen.pid) == (1, 0.25, os.getpid())
    assert seen.resident_bytes > 2**20
    assert isinstance(seen.current, CurrentTask)
    assert (seen.current.batch, seen.current.job) == ("b" * 256, 2**40)
    assert before <= seen.current.since_seconds <= time.monotonic()


def test_an_image_that_is_done_is_no_longer_in_hand() -> None:
    ours, seen = pair()
    ours.begin("batch", 7)
    ours.end(0.1)
    assert seen.current is None


def test_no_reader_sees_the_time_of_one_image_with_the_number_of_the_next() -> None:
    ours, seen = pair()
    written: dict[int, str] = {}
    ended = threading.Event()

    def read() -> list[CurrentTask]:
        found = []
        while not ended.is_set():
            task = seen.current
            if task is not None:
                found.append(task)
        return found

    found: list[CurrentTask] = []
    reader = threading.Thread(target=lambda: found.extend(read()))
    reader.start()
    deadline = time.monotonic() + 1.0
    job = 0
    while time.monotonic() < deadline:
        job += 1
        written[job] = str(job) * 20
        ours.begin(written[job], job)
    ended.set()
    reader.join()
    assert found
    assert [task for task in found if task.batch != written[task.job][:256]] == []
    since = [task.since_seconds for task in found]
    assert since == sorted(since)


def test_a_task_that_was_not_written_to_its_end_is_not_believed() -> None:
    """As a reader on a processor sees it that lets others see stores in another order."""
    ours, seen = pair()
    ours.begin("batch", 1)
    ours._fields.slots[1].raw = b"x" + ours._fields.slots[1].raw[1:]
    assert seen.current is None


def test_a_process_holds_memory_and_one_that_is_gone_does_not() -> None:
    mapped, before = memory_of(os.getpid())
    ballast = os.urandom(32 * 2**20)
    assert memory_of(os.getpid())[1] - before > len(ballast) // 2
    assert mapped > before > 2**20
    assert memory_of(2**30) == (0, 0)
