"""What the engine and its worker processes say to each other: msgpack, one message a packet.

::

    engine → worker     Setup                     once, first
                        Order                     an image to process, two outstanding at most
                        (end of file)             no more; the worker leaves
    worker → engine     Ready                     once its imports are done
                        Done                      an image has ended, in the order of the orders
                        Stuck                     the output folder takes no more files

Image bytes never pass here: workers read and write the files themselves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import msgpack

from imgbatch.batch.model import Failure, Job, Outcome, Status
from imgbatch.batch.write import OutputPolicy
from imgbatch.errors import Code
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe

LARGEST_BYTES = 1 << 17
"""More than any message: two paths of 4096 bytes and a sentence that holds both."""


class _Kind(StrEnum):
    READY = "ready"
    DONE = "done"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Setup:
    """What is the same for all images of a run."""

    recipe: Recipe
    limits: Limits
    delivery: OutputPolicy


@dataclass(frozen=True, slots=True)
class Order:
    """One image to process; `again` if a worker that is gone may have written its result."""

    job: Job
    again: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can begin."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an image, and how much memory the worker holds now."""

    outcome: Outcome
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why no further file can be written."""

    failure: Failure


Answer: TypeAlias = Ready | Done | Stuck


def pack_setup(setup: Setup) -> bytes:
    """Return the packet for a setup."""
    delivery = setup.delivery
    return _pack(
        (
            setup.recipe.to_fields(),
            (setup.limits.max_pixels, setup.limits.max_bytes),
            (delivery.preserve, delivery.overwrite, _path_bytes(delivery.folder)),
        )
    )


def unpack_setup(packet: bytes) -> Setup:
    """Return the setup of a packet."""
    recipe, (max_pixels, max_bytes), (preserve, overwrite, folder) = msgpack.unpackb(packet)
    return Setup(
        Recipe.from_fields(recipe),
        Limits(max_pixels, max_bytes),
        OutputPolicy(preserve, overwrite, None if folder is None else Path(os.fsdecode(folder))),
    )


def pack_order(order: Order) -> bytes:
    """Return the packet for an order."""
    job = order.job
    paths = (_path_bytes(job.source), _path_bytes(job.target))
    return _pack((job.index, *paths, job.size_bytes, job.modified_ns, job.mode, order.again))


def unpack_order(packet: bytes) -> Order:
    """Return the order of a packet."""
    index, source, target, size_bytes, modified_ns, mode, again = msgpack.unpackb(packet)
    paths = (Path(os.fsdecode(source)), Path(os.fsdecode(target)))
    return Order(Job(index, *paths, size_bytes, modified_ns, mode), again)


def pack_answer(answer: Answer) -> bytes:
    """Return the packet for an answer."""
    match answer:
        case Ready():
            return _pack((_Kind.READY,))
        case Stuck(failure):
            return _pack((_Kind.STUCK, *_failure_fields(failure)))
        case Done(outcome, resident_bytes):
            return _pack(
                (
                    _Kind.DONE,
                    resident_bytes,
                    _failure_fields(outcome.failure),
                    outcome.index,
                    outcome.status,
                    outcome.seconds,
                    outcome.width_pixels,
                    outcome.height_pixels,
                    outcome.bytes_out,
                    outcome.notes,
                )
            )


def unpack_answer(packet: bytes) -> Answer:
    """Return the answer of a packet."""
    kind, *fields = msgpack.unpackb(packet, use_list=False)
    if kind == _Kind.READY:
        return Ready()
    if kind == _Kind.STUCK:
        return Stuck(_failure(fields[0], fields[1]))
    resident_bytes, failure, index, status, seconds, width_pixels, height_pixels, *rest = fields
    bytes_out, notes = rest
    outcome = Outcome(
        index,
        Status(status),
        _failure(*failure) if failure else None,
        seconds=seconds,
        width_pixels=width_pixels,
        height_pixels=height_pixels,
        bytes_out=bytes_out,
        notes=notes,
    )
    return Done(outcome, resident_bytes)


def _failure_fields(failure: Failure | None) -> tuple[str, bytes] | tuple[()]:
    # As bytes: a sentence can hold a file name that is not UTF-8.
    return () if failure is None else (failure.code, os.fsencode(failure.sentence))


def _failure(code: str, sentence: bytes) -> Failure:
    return Failure(Code(code), os.fsdecode(sentence))


def _path_bytes(path: Path | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


def _pack(value: object) -> bytes:
    packet: bytes = msgpack.packb(value)
    return packet
