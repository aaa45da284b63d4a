from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.batches import jobs_of
from tests.support.photos import fill

from imgbatch.batch.write import OutputPolicy, temporary_path
from imgbatch.engines.local.crew import Attempt, Worker, brief
from imgbatch.engines.local.launch import launch
from imgbatch.engines.local.messages import Done, Ready, Setup
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(Recipe(), Limits(), OutputPolicy(folder=tmp_path.resolve()))


def test_a_worker_says_that_it_is_ready_and_answers_in_order(tmp_path: Path, setup: Setup) -> None:
    worker = brief(launch(), setup)
    assert worker.receive() == Ready()
    for job in jobs_of(fill(tmp_path / "in", 2), tmp_path.resolve()):
        worker.give(Attempt(job))
    for index in (0, 1):
        answer = worker.receive()
        assert isinstance(answer, Done)
        assert answer.outcome.index == index
        assert answer.resident_bytes > 2**20
        assert worker.finished_first().job.index == index
    worker.leave()
    assert worker.process.returncode == 0


def test_a_worker_that_is_ended_leaves_no_temporary_file(tmp_path: Path, setup: Setup) -> None:
    worker = brief(launch(), setup)
    (job,) = jobs_of(fill(tmp_path / "in", 1), tmp_path.resolve())
    half = temporary_path(job, worker.process.pid)
    half.write_bytes(b"half")
    worker.attempts.append(Attempt(job))
    worker.end()
    assert not half.exists()


def test_a_dead_worker_is_heard_as_none(setup: Setup) -> None:
    worker: Worker = brief(launch("tests.support.no_such_worker"), setup)
    assert worker.receive() is None
    assert "no_such_worker" in worker.last_words()
    worker.end()
