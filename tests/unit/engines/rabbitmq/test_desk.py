"""Where the client's threads meet: room, the end of a run, and telling each outcome once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.support.batches import Notes
from tests.support.frames import announcement
from tests.support.programs import wait_until

from imgbatch.batch.model import Job, Outcome, Status
from imgbatch.engines.base import Progress
from imgbatch.engines.rabbitmq.desk import (
    FEWEST_BUNDLES_PER_WORKER,
    MOST_BUNDLES_PER_WORKER,
    Desk,
    code_of,
    failed,
)
from imgbatch.engines.rabbitmq.machines import MachineRegistry
from imgbatch.engines.rabbitmq.offers import Offers
from imgbatch.errors import Code, FileError, SkippedFile
from imgbatch.protocol.slicing import MOST_FRAMES_PER_BUNDLE


def job(index: int) -> Job:
    return Job(index, Path("in", str(index)), Path("out", str(index)), 4, 0, 0o644)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def desk(notes: Notes) -> Desk:
    fleet = MachineRegistry(None, mixed=False)
    fleet.hear(announcement(procs=2), 0.0)
    fleet.update(1.0)
    return Desk(Offers(), fleet, notes)


def written(index: int) -> Outcome:
    return Outcome(index, Status.WRITTEN)


def test_an_outcome_is_told_once(desk: Desk, notes: Notes) -> None:
    desk.offers.add([job(0)], 0.0)
    assert desk.finish(written(0))
    assert not desk.finish(written(0))
    assert notes.outcomes == {0: written(0)}
    assert notes.told_twice == []
    assert (desk.done, desk.offers.repeated) == (1, 1)


def test_an_image_that_was_never_offered_is_told_of_as_well(desk: Desk, notes: Notes) -> None:
    desk.tell(failed(job(3), FileError(Code.UNREADABLE_FILE, "why")))
    assert notes.outcomes[3].status is Status.FAILED
    assert desk.done == 1


def test_this_sides_failures_are_outcomes_without_attempts() -> None:
    outcome = failed(job(1), SkippedFile(Code.NOT_AN_IMAGE, "a diary"))
    assert (outcome.status, outcome.attempts) == (Status.SKIPPED, 0)
    assert outcome.failure is not None
    assert outcome.failure.code is Code.NOT_AN_IMAGE


def test_images_are_drawn_until_there_is_no_room_and_again_when_few_are_left(desk: Desk) -> None:
    most, fewest = 2 * MOST_BUNDLES_PER_WORKER, 2 * FEWEST_BUNDLES_PER_WORKER
    drawn: list[int] = []

    def draw() -> None:
        while desk.wait_for_room():
            desk.offers.add([job(len(drawn))], 0.0)
            drawn.append(len(drawn))

    feeder = threading.Thread(target=draw)
    feeder.start()
    wait_until(lambda: len(drawn) == most, "the room is full")
    for index in range(most - fewest):
        desk.finish(written(index))
    feeder.join(0.05)
    assert len(drawn) == most
    desk.finish(written(most - fewest))
    burst = most - fewest + 1
    wait_until(lambda: len(drawn) == most + burst, "the room is full again")
    desk.stop()
    feeder.join(30)
    assert not feeder.is_alive()
    assert len(drawn) == most + burst


@pytest.mark.parametrize(
    ("files", "in_flight", "images"),
    [
        (1000, 0, MOST_FRAMES_PER_BUNDLE),
        (48, 0, 3),  # of two workers, each gets eight times as many before the next is drawn
        (48, 16, 2),
        (47, 16, 1),
        (10, 0, 1),
        (0, 0, 1),
    ],
)
def test_fewer_images_leave_together_the_fewer_are_left(
    desk: Desk, notes: Notes, files: int, in_flight: int, images: int
) -> None:
    notes.so_far = Progress(files + 7, scanning=False, done=7, failed=0)
    desk.offers.add(map(job, range(in_flight)), 0.0)
    assert desk.images_per_bundle == images


def test_images_leave_one_by_one_while_more_are_searched_for(desk: Desk, notes: Notes) -> None:
    """The next may be long in coming, in a folder that is watched."""
    notes.so_far = Progress(1000, scanning=True, done=0, failed=0)
    assert desk.images_per_bundle == 1


def test_messages_count_and_not_the_images_in_them(desk: Desk) -> None:
    most = 2 * MOST_BUNDLES_PER_WORKER
    for number in range(most - 1):
        desk.offers.add(map(job, range(10 * number, 10 * number + 10)), 0.0)
    assert desk.wait_for_room()


def test_without_machines_nothing_is_drawn(notes: Notes) -> None:
    desk = Desk(Offers(), MachineRegistry(None, mixed=False), notes)
    answers: list[bool] = []
    feeder = threading.Thread(target=lambda: answers.append(desk.wait_for_room()))
    feeder.start()
    desk.wake()
    feeder.join(0.05)
    assert answers == []
    desk.stop()
    feeder.join(30)
    assert answers == [False]


def test_a_run_is_over_when_all_was_drawn_and_nothing_is_in_flight(desk: Desk) -> None:
    assert not desk.is_over
    desk.offers.add([job(0)], 0.0)
    desk.fed.set()
    assert not desk.is_over
    desk.finish(written(0))
    assert desk.is_over
    desk.wait(60.0)  # returns at once


def test_a_run_that_is_stopped_is_over_when_nothing_is_in_flight(desk: Desk) -> None:
    desk.offers.add([job(0)], 0.0)
    desk.stop()
    assert not desk.is_over
    desk.finish(written(0))
    assert desk.is_over


def test_the_first_error_ends_the_run_and_is_the_one_that_counts(desk: Desk) -> None:
    desk.offers.add([job(0)], 0.0)
    first = OSError("first")
    desk.abort(first)
    desk.abort(OSError("second"))
    assert desk.is_over
    assert desk.error is first
    assert not desk.wait_for_room()


def test_whoever_waits_is_woken_by_the_last_outcome(desk: Desk) -> None:
    desk.offers.add([job(0)], 0.0)
    desk.fed.set()
    waiter = threading.Thread(target=lambda: [desk.wait(60.0) for _ in range(1)])
    waiter.start()
    desk.finish(written(0))
    waiter.join(30)
    assert not waiter.is_alive()


def test_an_outcome_makes_room_and_is_no_news_while_others_are_in_flight(desk: Desk) -> None:
    for index in range(2):
        desk.offers.add([job(index)], 0.0)
    desk.fed.set()
    woken: list[int] = []

    def wait() -> None:
        desk.wait(60.0)
        woken.append(len(desk.offers))

    waiter = threading.Thread(target=wait)
    waiter.start()
    waiter.join(0.2)  # so that it waits
    desk.finish(written(0))
    assert desk.wait_for_room()
    waiter.join(0.2)
    desk.finish(written(1))
    waiter.join(30)
    assert woken == [0]


def test_when_none_is_in_flight_the_listener_can_be_waited_for(desk: Desk, notes: Notes) -> None:
    """The run must not end while a writer is still telling of the last image."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(outcome: Outcome) -> None:
        begun.set()
        go_on.wait(30)
        notes.outcomes[outcome.index] = outcome

    notes.finished = slow  # type: ignore[method-assign]
    desk.fed.set()
    desk.offers.add([job(0)], 0.0)
    writer = threading.Thread(target=lambda: desk.finish(written(0)))
    writer.start()
    assert begun.wait(30)
    assert desk.is_over
    go_on.set()
    desk.settle()
    assert notes.outcomes == {0: written(0)}
    writer.join(30)


def test_outcomes_from_many_threads_are_told_one_at_a_time(desk: Desk) -> None:
    inside: list[int] = []

    class Listener(Notes):
        def finished(self, outcome: Outcome) -> None:
            inside.append(1)
            assert len(inside) == 1
            super().finished(outcome)
            inside.pop()

    listener = Listener()
    desk._listener = listener
    for index in range(400):
        desk.offers.add([job(index)], 0.0)
    threads = [
        threading.Thread(
            target=lambda start=start: [desk.finish(written(i)) for i in range(start, 400, 2)]
        )
        for start in (0, 1, 0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(listener.outcomes) == desk.done == 400
    assert listener.told_twice == []
    assert desk.offers.repeated == 400


def test_what_the_listener_hears_besides(desk: Desk, notes: Notes) -> None:
    desk.waiting("no server is listening")
    desk.waiting(None)
    desk.machines(desk.fleet.uses)
    assert notes.reasons == ["no server is listening", None]
    assert notes.seen_machines == [desk.fleet.uses]


def test_a_code_that_a_later_version_made_up_is_internal_to_us() -> None:
    assert code_of("worker-crashed") is Code.WORKER_CRASHED
    assert code_of("quantum-decoherence") is Code.INTERNAL_ERROR
