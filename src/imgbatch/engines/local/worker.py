"""A worker process of the local engine: reads, processes and writes one image after another.

Image bytes never pass between it and the engine: it is given jobs, and answers each with an
`Outcome`, or with the `EngineError` for which no further one can be done. None is its farewell.
"""

from __future__ import annotations

import time
from dataclasses import replace
from multiprocessing.connection import Connection

from imgbatch.batch.model import Job, Outcome, Status
from imgbatch.batch.thumbnails import HEIGHT_PIXELS, WIDTH_PIXELS
from imgbatch.batch.write import OutputPolicy, read_source, write_output
from imgbatch.errors import EngineError, ImageError
from imgbatch.images.failures import as_image_errors
from imgbatch.images.formats import HEAD_BYTES, name_notes
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Recipe
from imgbatch.workers.process import Ready
from imgbatch.workers.status import WorkerStatus


def main(
    recipe: Recipe, limits: Limits, policy: OutputPolicy, pipe: Connection, status: WorkerStatus
) -> None:
    """Answer jobs until None comes, or the engine is gone."""
    pipeline = Pipeline(limits)
    pipe.send(Ready())
    while (job := pipe.recv()) is not None:
        status.begin("", job.index)
        began = time.monotonic()
        answer = perform(job, recipe, limits.max_bytes, policy, pipeline)
        seconds = time.monotonic() - began
        status.end(seconds)
        pipe.send(replace(answer, seconds=seconds) if isinstance(answer, Outcome) else answer)


def perform(
    job: Job, recipe: Recipe, max_bytes: int, policy: OutputPolicy, pipeline: Pipeline
) -> Outcome | EngineError:
    """Process one image and say what became of it; no image's failure is an exception here."""
    if job.may_be_written:
        policy = replace(policy, overwrite=True)
    try:
        with as_image_errors():
            data, attributes = read_source(job, max_bytes)
            room = (WIDTH_PIXELS, HEIGHT_PIXELS) if job.wants_thumbnails else None
            processed = pipeline.run(data, recipe, thumbnail_room=room)
            bytes_out = write_output(job, processed.data, policy, attributes)
    except EngineError as error:
        return error
    except ImageError as error:
        return Outcome.not_written(job.index, error)
    return Outcome(
        job.index,
        Status.WRITTEN,
        width_pixels=processed.width_pixels,
        height_pixels=processed.height_pixels,
        bytes_out=bytes_out,
        thumbnails=processed.thumbnails,
        notes=(*processed.notes, *name_notes(job.target.suffix, processed.data[:HEAD_BYTES])),
    )
