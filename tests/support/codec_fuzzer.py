"""Messages for the codec, each made from a seed: a frame, and what may have become of it.

A seed that finds something belongs into `KEPT_SEEDS`, which every run of the tests goes through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import msgpack
from tests.support.frames import EVERY, SECRET, nonsense, sealed, written

from imgbatch.errors import (
    DamagedPayload,
    FrameTooLarge,
    MalformedFrame,
    VersionMismatch,
)
from imgbatch.protocol.codec import decode

KEPT_SEEDS: tuple[int, ...] = (*range(2_000),)
"""The first few, and those that found something."""

EXPECTED = (MalformedFrame, FrameTooLarge, VersionMismatch, DamagedPayload)
LONGEST_SENTENCE = 500
START_BYTES, HEAD_BYTES = 9, 25
"""Letters, version and sizes, and these with the hash."""
NOT_THERE = (b"\xdb", b"\xdd", b"\xdf", b"\xc6", b"\xc9")
"""The marks of a string, list, map, payload and extension, to be followed by a length."""
BAD_PIECES = (*(mark + b"\xff" * 4 for mark in NOT_THERE), b"\xc1", b"\x91" * 600)
"""And what is no msgpack, and a nest."""


def _flip(body: bytes, random: Random) -> bytes:
    changed = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(len(body))]


def _drop(body: bytes, random: Random) -> bytes:
    first = random.randrange(len(body))
    return body[:first] + body[first + random.choice((1, 2, 9, 100)) :]


def _insert(body: bytes, random: Random) -> bytes:
    first = random.randrange(len(body))
    more = random.choice((random.randbytes(random.randrange(1, 20)), *BAD_PIECES))
    return body[:first] + more + body[first:]


def _double(body: bytes, random: Random) -> bytes:
    return body * random.choice((2, 3, 70))


def _other_value(body: bytes, random: Random) -> bytes:
    """Give one field a value of any type, in a frame that is otherwise right."""
    middle = HEAD_BYTES + int.from_bytes(body[3:5])
    fields, payload = msgpack.unpackb(body[HEAD_BYTES:middle], use_list=False), body[middle:]
    value = random.choice(
        (None, True, -1, 2**63, 0.5, float("nan"), "", "x" * 300, b"x", [], [[]] * 3, {}, {"a": 1})
    )
    match random.randrange(4):
        case 0:
            fields["frame"] = value
        case 1:
            del fields[random.choice(list(fields))]
        case 2:
            fields["unknown"] = value
        case _:
            fields[random.choice(list(fields))] = value
    return sealed(msgpack.packb(fields), payload, _a_key(random))


def _a_key(random: Random) -> bytes:
    return random.choice((SECRET, bytes(32)))


def _other_version(body: bytes, random: Random) -> bytes:
    return body[:2] + bytes((random.randrange(256),)) + body[3:]


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip, _cut, _drop, _insert, _double, _other_value, _other_value, _other_version,
)  # fmt: skip


def message(seed: int) -> bytes:
    """Return the message of a seed: one of four is right, many of the others with a right hash."""
    random = Random(seed)
    body = written(*nonsense(random))
    if random.random() < 0.25:
        return body
    body = random.choice(MUTATIONS)(body, random)
    if random.random() < 0.6:
        return body
    return sealed(body[HEAD_BYTES:], b"", _a_key(random), start=body[:START_BYTES])


def fuzz(seeds: Iterable[int]) -> Counter[str]:
    """Decode the messages of seeds; return how often each outcome was met.

    What is taken has to come back from its own encoding; what is not has to be refused by the
    errors that a reader expects, with a sentence of bounded length, and by no other.
    """
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        body = message(seed)
        try:
            received = decode(body, EVERY)
        except Exception as error:
            if type(error) not in EXPECTED or len(str(error)) > LONGEST_SENTENCE:
                raise AssertionError(f"seed {seed}: {error!r}") from error
            outcomes[type(error).__name__] += 1
        else:
            outcomes["taken"] += 1
            for each in received:
                (again,) = decode(written(each.frame, each.payload), EVERY)
                assert (again.frame, again.payload) == (each.frame, each.payload), seed
    return outcomes
