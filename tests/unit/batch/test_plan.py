from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.programs import wait_until

from imgbatch.batch.journal import Journal
from imgbatch.batch.model import Failure, Job, Outcome, Status
from imgbatch.batch.names import Naming
from imgbatch.batch.objects import Inventory
from imgbatch.batch.plan import Planner, checksum_of
from imgbatch.batch.scan import Found
from imgbatch.batch.tally import Tally
from imgbatch.batch.write import temporary_path
from imgbatch.errors import Code, FileError
from imgbatch.recipe import OutputFormat


@dataclass(frozen=True)
class Folders:
    source: Path
    target: Path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return Folders(tmp_path / "in", tmp_path / "out")


def planner_of(
    journal: Journal,
    found: Iterator[Found | None],
    folders: Folders,
    naming: Naming = Naming(),  # noqa: B008
    tally: Tally | None = None,
    **rest: Any,
) -> Planner:
    return Planner(
        journal, found, folders.source, Inventory(folders.target), naming, tally or Tally(), **rest
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.create(tmp_path / "run.journal", {"output": str(tmp_path / "out")})
    yield opened
    opened.close()


def found(*names: str) -> list[Found]:
    return [Found(name, 10, 1, 0o644) for name in names]


def taken(planner: Planner) -> Iterator[Job]:
    """Take jobs as an engine does, and wait for more, until there are none."""
    while not planner.is_exhausted:
        jobs = planner.take(1)
        yield from jobs
        if not (jobs or planner.is_exhausted):
            select.select([planner.wake], (), (), 10)


def planned(planner: Planner) -> list[Job]:
    planner.start()
    jobs = list(taken(planner))
    assert planner.finish(10)
    return jobs


def test_what_is_found_becomes_jobs_with_output_names(journal: Journal, folders: Folders) -> None:
    tally = Tally()
    planner = planner_of(
        journal, iter(found("a.jpg", "deep/b.png")), folders, Naming(OutputFormat.JPEG), tally
    )
    jobs = planned(planner)
    assert [job.source for job in jobs] == [folders.source / "a.jpg", folders.source / "deep/b.png"]
    assert [job.target for job in jobs] == [folders.target / "a.jpg", folders.target / "deep/b.jpg"]
    assert (tally.planned_files, tally.planned_bytes, tally.plan_complete) == (2, 20, True)


def test_the_first_job_comes_while_the_search_goes_on(journal: Journal, folders: Folders) -> None:
    go_on = threading.Event()

    def slowly() -> Iterator[Found | None]:
        yield from found("a.jpg")
        yield None
        go_on.wait()
        yield from found("b.jpg")

    tally = Tally()
    planner = planner_of(journal, slowly(), folders, Naming(), tally)
    planner.start()
    jobs = taken(planner)
    assert next(jobs).source.name == "a.jpg"
    assert not tally.plan_complete
    go_on.set()
    assert [job.source.name for job in jobs] == ["b.jpg"]
    assert planner.finish(10)


def test_many_files_all_come_once(journal: Journal, folders: Folders) -> None:
    names = [f"{number % 7}/{number:05}.jpg" for number in range(2000)]
    planner = planner_of(journal, iter(found(*names)), folders)
    jobs = planned(planner)
    assert sorted(str(job.source.relative_to(folders.source)) for job in jobs) == sorted(names)


def order_of(sizes: Sequence[int], journal: Journal, folders: Folders) -> list[int]:
    """Plan files of these sizes, and return the jobs' numbers in the order in which they come."""
    files = [Found(f"{number}.jpg", size, 1, 0o644) for number, size in enumerate(sizes)]
    tally = Tally()
    planner = planner_of(journal, iter(files), folders, Naming(), tally)
    planner.start()
    wait_until(lambda: tally.plan_complete, "all are found")
    names = [job.source.stem for job in taken(planner)]
    assert planner.finish(10)
    return [int(name) for name in names]


def test_the_largest_that_is_known_comes_first_and_of_equals_the_one_that_was_found_first(
    journal: Journal, folders: Folders
) -> None:
    assert order_of([5, 9, 1, 9, 0, 7], journal, folders) == [1, 3, 5, 0, 2, 4]


def test_a_small_file_is_overtaken_by_255_others_at_most(
    journal: Journal, folders: Folders
) -> None:
    order = order_of(range(1000), journal, folders)
    assert sorted(order) == list(range(1000))
    assert order.index(0) == 255


def is_readable(planner: Planner) -> bool:
    return bool(select.select([planner.wake], (), (), 0)[0])


def test_jobs_are_taken_without_waiting_and_news_wakes_whoever_waits_for_them(
    journal: Journal, folders: Folders
) -> None:
    go_on = threading.Event()

    def slowly() -> Iterator[Found | None]:
        yield from found("a.jpg", "b.jpg", "c.jpg")
        yield None
        go_on.wait()
        yield from found("d.jpg")

    planner = planner_of(journal, slowly(), folders)
    assert planner.take(9) == []
    planner.start()
    wait_until(lambda: is_readable(planner), "there is news")
    assert [job.source.name for job in planner.take(2)] == ["a.jpg", "b.jpg"]
    assert [job.source.name for job in planner.take(2)] == ["c.jpg"]
    assert not is_readable(planner)
    assert not planner.is_exhausted
    go_on.set()
    wait_until(lambda: is_readable(planner), "there is news again")
    assert planner.take(0) == []
    assert not is_readable(planner)
    assert [job.source.name for job in planner.take(1)] == ["d.jpg"]
    wait_until(lambda: planner.take(1) == [] and planner.is_exhausted, "all were taken")
    assert planner.finish(10)


@pytest.mark.parametrize(("has_page", "wanted"), [(True, range(8, 33)), (False, range(1))])
def test_thumbnails_of_a_sample_are_wanted_if_there_is_a_page(
    journal: Journal, folders: Folders, has_page: bool, wanted: range
) -> None:
    names = [f"{number}.jpg" for number in range(200)]
    planner = planner_of(journal, iter(found(*names)), folders, thumbnails=has_page)
    assert sum(job.wants_thumbnails for job in planned(planner)) in wanted


def test_texts_beside_two_photographs_leave_none_of_them_out_of_the_sample(
    journal: Journal, folders: Folders
) -> None:
    names = ["1.jpg", "2.JPG", *(f"{number}.txt" for number in range(300))]
    planner = planner_of(journal, iter(found(*names)), folders, thumbnails=True)
    wanted = {job.source.name for job in planned(planner) if job.wants_thumbnails}
    assert {"1.jpg", "2.JPG"} <= wanted


def test_a_job_that_was_taken_is_known_until_it_is_forgotten(
    journal: Journal, folders: Folders
) -> None:
    planner = planner_of(journal, iter(found("a.jpg")), folders)
    (job,) = planned(planner)
    assert planner.forget(job.index) is job
    assert planner.forget(job.index) is None


def test_the_plan_is_whole_though_the_jobs_were_not_all_taken(
    journal: Journal, folders: Folders
) -> None:
    planner = planner_of(journal, iter(found("a.jpg", "b.jpg", "c.jpg")), folders)
    planner.start()
    next(taken(planner))
    assert planner.finish(10)
    assert planner.take(9) == []
    assert journal.totals().files == 3


def test_a_search_that_never_ends_is_given_up(journal: Journal, folders: Folders) -> None:
    def endless() -> Iterator[None]:
        while True:
            yield None

    planner = planner_of(journal, endless(), folders)
    planner.start()
    assert not planner.finish(0.05)
    assert list(taken(planner)) == []


def test_what_the_search_raises_comes_after_the_jobs_before_it(
    journal: Journal, folders: Folders
) -> None:
    def failing() -> Iterator[Found | None]:
        yield from found("a.jpg")
        yield None
        raise FileError(Code.UNREADABLE_FILE, "the disk is gone")

    planner = planner_of(journal, failing(), folders)
    planner.start()
    jobs = taken(planner)
    assert next(jobs).source.name == "a.jpg"
    with pytest.raises(FileError, match="the disk is gone"):
        next(jobs)
    assert not planner.finish(10)


def test_files_without_hope_are_counted_and_are_no_jobs(journal: Journal, folders: Folders) -> None:
    pipe = Found("pipe", failure=Failure(Code.NOT_AN_IMAGE, "it is a pipe"))
    tally = Tally()
    planner = planner_of(journal, iter([pipe, *found("a.jpg")]), folders, Naming(), tally)
    assert [job.source.name for job in planned(planner)] == ["a.jpg"]
    assert (tally.ended[Status.SKIPPED], tally.done_files, tally.earlier_files) == (1, 1, 0)


@pytest.mark.parametrize(("guard", "jobs"), [(True, 0), (False, 1)])
def test_a_guarded_plan_leaves_files_alone_that_are_not_its_own(
    journal: Journal, folders: Folders, guard: bool, jobs: int
) -> None:
    (folders.target / "a.jpg").write_text("somebody's")
    planner = planner_of(journal, iter(found("a.jpg")), folders, guard=guard)
    assert len(planned(planner)) == jobs


def test_a_guarded_plan_knows_what_it_wrote_itself(journal: Journal, folders: Folders) -> None:
    (job,) = planned(planner_of(journal, iter(found("a.jpg")), folders, guard=True))
    journal.finish(Outcome(job.index, Status.WRITTEN), 0.0)
    job.target.write_text("a result")
    changed = [Found("a.jpg", 11, 2, 0o644)]
    (again,) = planned(planner_of(journal, iter(changed), folders, guard=True))
    assert again.index > job.index


@pytest.mark.parametrize("source", ["photos", "link"])
def test_results_never_lie_in_the_input_folder(
    tmp_path: Path, journal: Journal, source: str
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    folders = Folders(tmp_path / source, tmp_path)
    planner = planner_of(journal, iter(found("a.jpg", "photos/b.jpg")), folders)
    assert [job.source.name for job in planned(planner)] == ["a.jpg"]
    codes = journal.totals().by_code
    assert codes == {Code.OUTPUT_EXISTS: 1}


def test_what_dead_runs_left_is_swept_on_the_way(journal: Journal, folders: Folders) -> None:
    dead = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(dead, 0)
    deep = folders.target / "deep"
    deep.mkdir()
    job = Job(1, deep / "a.jpg", deep / "a.jpg", 0, 0, 0)
    temporary_path(job, dead).write_bytes(b"half")
    planned(planner_of(journal, iter(found("deep/a.jpg")), folders))
    assert list(deep.iterdir()) == []


def test_checksums_are_of_the_content(tmp_path: Path) -> None:
    for name, content in (("a", b"x" * 3_000_000), ("b", b"x" * 3_000_000), ("c", b"y")):
        (tmp_path / name).write_bytes(content)
    sums = [checksum_of(tmp_path / name) for name in "abc"]
    assert sums[0] == sums[1] != sums[2]
    assert checksum_of(tmp_path / "missing") is None
