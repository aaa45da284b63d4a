"""A worker process of the local engine: reads, processes and writes one image after another."""

from __future__ import annotations

import time
from dataclasses import replace
from multiprocessing.connection import Connection

from imgbatch.batch.model import Failure, Job, Outcome, Status
from imgbatch.batch.thumbnails import HEIGHT_PIXELS, WIDTH_PIXELS
from imgbatch.batch.write import OutputPolicy, read_source, write_output
from imgbatch.engines.local.messages import OutputUnwritable, Setup, Task
from imgbatch.errors import Code, ImageError, OutputError, SkippedFile
from imgbatch.images.formats import HEAD_BYTES, name_notes
from imgbatch.pipeline import Pipeline
from imgbatch.workers.process import Ready
from imgbatch.workers.status import WorkerStatus


def main(setup: Setup, pipe: Connection, status: WorkerStatus) -> None:
    """Answer tasks until None comes, or the engine is gone."""
    pipeline = Pipeline(setup.limits)
    pipe.send(Ready())
    while (task := pipe.recv()) is not None:
        status.begin("", task.job.index)
        began = time.monotonic()
        answer = perform(task, setup, pipeline)
        seconds = time.monotonic() - began
        status.end(seconds)
        if isinstance(answer, Outcome):
            answer = replace(answer, seconds=seconds)
        pipe.send(answer)


def perform(task: Task, setup: Setup, pipeline: Pipeline) -> Outcome | OutputUnwritable:
    """Process one image and say what became of it; no image's failure is an exception here."""
    index = task.job.index
    # A worker that is gone may have written the result.
    policy = replace(setup.policy, overwrite=setup.policy.overwrite or task.failures > 0)
    try:
        return _process(task.job, setup, pipeline, policy)
    except OutputError as error:
        return OutputUnwritable(Failure.of(error))
    except ImageError as error:
        status = Status.SKIPPED if isinstance(error, SkippedFile) else Status.FAILED
        return Outcome(index, status, Failure.of(error))
    except MemoryError:
        sentence = "there was not enough memory for it; fewer --procs leave more for each"
        return Outcome(index, Status.FAILED, Failure(Code.WORKER_CRASHED, sentence))
    except Exception as error:  # a bug, and still no reason to lose the other images
        sentence = f"imgbatch failed on it, please report this: {type(error).__name__}: {error}"
        return Outcome(index, Status.FAILED, Failure(Code.INTERNAL_ERROR, sentence))


def _process(job: Job, setup: Setup, pipeline: Pipeline, policy: OutputPolicy) -> Outcome:
    data = read_source(job, setup.limits.max_bytes)
    room = (WIDTH_PIXELS, HEIGHT_PIXELS) if job.wants_thumbnails else None
    processed = pipeline.run(data, setup.recipe, thumbnail_room=room)
    bytes_out = write_output(job, [processed.data], policy)
    return Outcome(
        job.index,
        Status.WRITTEN,
        width_pixels=processed.width_pixels,
        height_pixels=processed.height_pixels,
        bytes_out=bytes_out,
        thumbnails=processed.thumbnails,
        notes=(*processed.notes, *name_notes(job.target, processed.data[:HEAD_BYTES])),
    )
