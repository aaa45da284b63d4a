from __future__ import annotations

import threading

from imgbatch.batch.model import Status
from imgbatch.batch.tally import Tally


def test_what_ends_is_counted_by_how_it_ended() -> None:
    tally = Tally()
    tally.plan(4, 100)
    tally.end(Status.WRITTEN, 10, 12, earlier=False)
    tally.end(Status.WRITTEN, 20, 22, earlier=True)
    tally.end(Status.FAILED, 30, 0, earlier=False)
    tally.end(Status.SKIPPED, 5, 0, earlier=False)
    assert (tally.planned_files, tally.planned_bytes) == (4, 100)
    assert (tally.done_files, tally.done_bytes, tally.bytes_out) == (4, 65, 34)
    assert tally.ended == {Status.WRITTEN: 2, Status.FAILED: 1, Status.SKIPPED: 1}
    assert tally.earlier_files == 1


def test_no_count_is_lost_between_threads() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(5000):
            tally.end(Status.WRITTEN, 1, 1, earlier=False)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.done_files == tally.ended.total() == tally.done_bytes == 20_000
