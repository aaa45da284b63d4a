from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.batches import jobs_of
from tests.support.photos import fill

from imgbatch.adjustment import Adjustment
from imgbatch.batch.model import Job, Outcome, Status
from imgbatch.batch.thumbnails import jpeg_size
from imgbatch.batch.write import OutputPolicy
from imgbatch.buffer import Buffer
from imgbatch.engines.local.worker import perform
from imgbatch.errors import Code, OutputError
from imgbatch.pipeline import Pipeline, Processed, process
from imgbatch.recipe import Recipe

RECIPE = Recipe(Adjustment(brightness=20))


class Exhausted(Pipeline):
    def run(self, data: Buffer, recipe: Recipe, *rest: Any, **more: Any) -> Processed:
        raise MemoryError


def answer_to(
    job: Job, target: Path, pipeline: Pipeline | None = None, again: bool = False
) -> Outcome | OutputError:
    job = replace(job, may_be_written=again)
    return perform(job, RECIPE, 2**20, OutputPolicy(folder=target), pipeline or Pipeline())


@pytest.fixture
def job(tmp_path: Path) -> Job:
    target = tmp_path.resolve() / "out"
    target.mkdir()
    (job,) = jobs_of(fill(tmp_path / "in", 1), target)
    return job


def test_an_image_is_read_processed_and_written(job: Job) -> None:
    answer = answer_to(job, job.target.parent)
    assert isinstance(answer, Outcome)
    assert answer.status is Status.WRITTEN
    assert job.target.read_bytes() == process(job.source.read_bytes(), RECIPE.adjustment)


def test_thumbnails_come_with_the_outcome_where_they_are_wanted(job: Job) -> None:
    plain = answer_to(job, job.target.parent)
    job.target.unlink()
    shown = answer_to(replace(job, wants_thumbnails=True), job.target.parent)
    assert isinstance(plain, Outcome)
    assert isinstance(shown, Outcome)
    assert plain.thumbnails is None
    assert shown.thumbnails is not None
    assert [jpeg_size(thumbnail) for thumbnail in shown.thumbnails] == [(48, 32)] * 2
    assert replace(shown, thumbnails=None) == plain


def test_a_second_try_replaces_what_the_first_may_have_written(job: Job) -> None:
    job.target.write_bytes(b"written before the crash")
    refused = answer_to(job, job.target.parent)
    assert isinstance(refused, Outcome)
    assert refused.failure is not None
    assert refused.failure.code is Code.OUTPUT_EXISTS
    again = answer_to(job, job.target.parent, again=True)
    assert isinstance(again, Outcome)
    assert again.status is Status.WRITTEN


def test_a_file_that_is_no_image_is_skipped(job: Job) -> None:
    job.source.write_text("x" * job.size_bytes)
    os.utime(job.source, ns=(job.modified_ns, job.modified_ns))
    answer = answer_to(job, job.target.parent)
    assert isinstance(answer, Outcome)
    assert answer.status is Status.SKIPPED


def test_want_of_memory_is_the_image_s_failure_and_says_what_helps(job: Job) -> None:
    answer = answer_to(job, job.target.parent, Exhausted())
    assert isinstance(answer, Outcome)
    assert answer.failure is not None
    assert answer.failure.code is Code.OUT_OF_MEMORY
    assert "--procs" in answer.failure.sentence


def test_a_lost_output_folder_is_nobody_s_image(job: Job) -> None:
    job.target.parent.rmdir()
    answer = answer_to(job, job.target.parent)
    assert isinstance(answer, OutputError)
    assert answer.code is Code.OUTPUT_FOLDER_UNWRITABLE


def test_a_worker_imports_neither_the_command_line_nor_the_display() -> None:
    code = (
        "import sys, imgbatch.engines.local.worker;"
        "print([name for name in ('rich', 'argparse', 'pika', 'imgbatch.cli', 'imgbatch.run')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
