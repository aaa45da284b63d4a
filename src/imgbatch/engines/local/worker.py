"""A worker process of the local engine: reads, processes and writes one image after another."""

from __future__ import annotations

import os
import socket
import sys
import time

from imgbatch.batch.model import Failure, Job, Outcome, Status
from imgbatch.batch.write import OutputPolicy, read_source, write_output
from imgbatch.engines.local.messages import (
    LARGEST_BYTES,
    Answer,
    Done,
    Order,
    Ready,
    Setup,
    Stuck,
    pack_answer,
    unpack_order,
    unpack_setup,
)
from imgbatch.errors import Code, ImageError, OutputError, SkippedFile
from imgbatch.images.suffixes import HEAD_BYTES, name_notes
from imgbatch.pipeline import Pipeline
from imgbatch.processes import resident_bytes, settle_in


def main(arguments: list[str]) -> None:
    """Work for the engine at the other end of a socket until it closes it.

    Parameters
    ----------
    arguments
        The socket's descriptor and the engine's process id.
    """
    descriptor, engine_pid = map(int, arguments)
    settle_in()
    if os.getppid() != engine_pid:  # it died before this process could ask to die with it
        return
    with socket.socket(fileno=descriptor) as channel:
        serve(channel)


def serve(channel: socket.socket) -> None:
    """Answer orders until the other end is closed."""
    packet = channel.recv(LARGEST_BYTES)
    if not packet:  # started ahead of a run that never began
        return
    setup = unpack_setup(packet)
    pipeline = Pipeline(setup.limits)
    channel.send(pack_answer(Ready()))
    while packet := channel.recv(LARGEST_BYTES):
        channel.send(pack_answer(perform(unpack_order(packet), setup, pipeline)))


def perform(order: Order, setup: Setup, pipeline: Pipeline) -> Answer:
    """Process one image and say what became of it; no image's failure is an exception here."""
    started = time.monotonic()
    try:
        outcome = _process(order.job, setup, pipeline, _delivery(order, setup))
    except OutputError as error:
        return Stuck(Failure.of(error))
    except ImageError as error:
        status = Status.SKIPPED if isinstance(error, SkippedFile) else Status.FAILED
        outcome = Outcome(order.job.index, status, Failure.of(error))
    except MemoryError:
        sentence = "there was not enough memory for it; fewer --procs leave more for each"
        failure = Failure(Code.WORKER_CRASHED, sentence)
        outcome = Outcome(order.job.index, Status.FAILED, failure)
    except Exception as error:  # a bug, and still no reason to lose the other images
        sentence = f"imgbatch failed on it, please report this: {type(error).__name__}: {error}"
        failure = Failure(Code.INTERNAL_ERROR, sentence)
        outcome = Outcome(order.job.index, Status.FAILED, failure)
    return Done(_timed(outcome, time.monotonic() - started), resident_bytes(os.getpid()))


def _process(job: Job, setup: Setup, pipeline: Pipeline, delivery: OutputPolicy) -> Outcome:
    data = read_source(job, setup.limits.max_bytes)
    processed = pipeline.run(data, setup.recipe)
    bytes_out = write_output(job, [processed.data], delivery)
    return Outcome(
        job.index,
        Status.WRITTEN,
        width_pixels=processed.width_pixels,
        height_pixels=processed.height_pixels,
        bytes_out=bytes_out,
        notes=(*processed.notes, *name_notes(job.target, processed.data[:HEAD_BYTES])),
    )


def _delivery(order: Order, setup: Setup) -> OutputPolicy:
    delivery = setup.delivery
    return OutputPolicy(delivery.preserve, delivery.overwrite or order.again, delivery.folder)


def _timed(outcome: Outcome, seconds: float) -> Outcome:
    return Outcome(
        outcome.index,
        outcome.status,
        outcome.failure,
        seconds=seconds,
        width_pixels=outcome.width_pixels,
        height_pixels=outcome.height_pixels,
        bytes_out=outcome.bytes_out,
        notes=outcome.notes,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
    # The interpreter's own end, with all that numpy and the codecs have loaded, takes 50 ms.
    os._exit(0)
