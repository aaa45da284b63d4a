from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgbatch.batch.model import Job
from imgbatch.engines.local.feed import Feed


def job(index: int) -> Job:
    return Job(index, Path("in"), Path("out"), 1, 1, 0o644)


def take(feed: Feed) -> Job | None:
    """Wait until something is there, as the engine does, and take it."""
    while not feed.exhausted:
        taken = feed.take()
        if taken is not None:
            return taken
        select.select([feed.wake], [], [])
        feed.waken()
    return feed.take()


def test_jobs_come_in_order_and_then_no_more() -> None:
    feed = Feed(iter([job(0), job(1), job(2)]), room=2)
    assert [take(feed) for _ in range(4)] == [job(0), job(1), job(2), None]
    assert feed.exhausted
    feed.end()


def test_no_more_jobs_are_drawn_than_there_is_room_for() -> None:
    drawn = []

    def jobs() -> Iterator[Job]:
        for index in range(50):
            drawn.append(index)
            yield job(index)

    feed = Feed(jobs(), room=3)
    for _ in range(10):
        take(feed)
    assert len(drawn) <= 10 + 3 + 1
    feed.end()


def test_what_drawing_raises_comes_after_the_jobs_before_it() -> None:
    def jobs() -> Iterator[Job]:
        yield job(0)
        raise ValueError("no more")

    feed = Feed(jobs(), room=2)
    assert take(feed) == job(0)
    with pytest.raises(ValueError, match="no more"):
        take(feed)
    feed.end()


def test_a_closed_feed_draws_no_more_though_there_are_more() -> None:
    go_on = threading.Event()

    def jobs() -> Iterator[Job]:
        yield job(0)
        go_on.wait()
        yield job(1)

    feed = Feed(jobs(), room=5)
    assert take(feed) == job(0)
    feed.close()
    go_on.set()
    assert take(feed) is None
    feed.end()
