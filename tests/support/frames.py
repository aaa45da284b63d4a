"""Frames for tests: any that the fields' own checks allow, and one fixed example of each kind."""

from __future__ import annotations

import string
from dataclasses import asdict
from random import Random
from typing import Any

import msgpack
import xxhash
from hypothesis import strategies as st

from imgbatch.adjustment import Adjustment
from imgbatch.protocol import (
    PROTOCOL_VERSION,
    BatchStatus,
    Cancel,
    Chunk,
    Discover,
    Fetch,
    Frame,
    InProgress,
    Lease,
    LeaseEnd,
    LeaseRefused,
    Result,
    Returned,
    ServerStatus,
    Thumbnails,
    Ticket,
    WorkerCrashed,
)
from imgbatch.protocol.codec import KINDS, checks_of
from imgbatch.protocol.fields import (
    ListOf,
    OneOf,
    PlainMap,
    RealNumber,
    RoutingKey,
    Text,
    TrueOrFalse,
    WholeNumber,
)
from imgbatch.recipe import Recipe

PRINTABLE = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"])
BATCH = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TOPIC = "89abcdef0123456789abcdef01234567"
MACHINE = "darkroom-7-1a2b3c4d"


def values_of(check: Any) -> st.SearchStrategy[Any]:
    """Return all values that a check lets through, with its bounds among them."""
    match check:
        case WholeNumber(lowest=lowest, highest=highest):
            return st.integers(lowest, highest) | st.sampled_from([lowest, highest])
        case RealNumber(highest=highest):
            return st.floats(0, highest) | st.integers(0, int(highest))
        case TrueOrFalse():
            return st.booleans()
        case OneOf(words=words):
            return st.sampled_from([str(word) for word in words])
        case Text(longest=longest):
            letters = PRINTABLE | st.just(" ")
            return st.text(letters, max_size=min(longest, 20)) | st.just("ä" * longest)
        case RoutingKey():
            letters = st.sampled_from(string.ascii_letters + string.digits + "._-")
            return st.text(letters, min_size=1, max_size=30) | st.just("a" * 255)
        case ListOf(item=item, longest=longest):
            return st.lists(values_of(item), max_size=min(longest, 5)).map(tuple)
        case PlainMap():
            entries = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(PRINTABLE)
            return st.dictionaries(st.text(PRINTABLE, max_size=20), entries, max_size=5)
    raise AssertionError(f"no strategy for {check}")


def any_frame() -> st.SearchStrategy[Frame]:
    """Return frames of every kind with any valid fields."""
    return st.one_of(
        st.builds(kind, **{field: values_of(check) for field, check in checks_of(name).items()})
        for name, kind in KINDS.items()
    )


def ticket(**changes: Any) -> Ticket:
    fields = {
        "batch": BATCH,
        "job": 7,
        "attempt": 0,
        "topic": TOPIC,
        "size_bytes": 4,
        "max_pixels": 250_000_000,
        "recipe": Recipe(Adjustment(brightness=10, contrast=20, sharpness=40)).to_fields(),
        "wants_thumbnails": False,
    }
    return Ticket(**(fields | changes))


def result(**changes: Any) -> Result:
    fields = {
        "batch": BATCH,
        "job": 7,
        "transfer": 81985529216486895 >> 4,
        "kind": "done",
        "code": "",
        "sentence": "",
        "machine": MACHINE,
        "width_pixels": 4000,
        "height_pixels": 3000,
        "size_bytes": 5,
        "seconds": 0.125,
        "notes": ("icc-dropped",),
    }
    return Result(**(fields | changes))


def announcement(**changes: Any) -> ServerStatus:
    fields = {
        "machine": MACHINE,
        "name": "darkroom-7",
        "host": "darkroom-7.example",
        "queue": "imgbatch.server.00112233445566778899aabbccddeeff",
        "procs": 8,
        "busy": 3,
        "version": "1.0.0",
        "digest": "d1657e57",
        "components": {"imgbatch": "1.0.0", "numba": "0.62.1"},
        "images": 120,
        "busy_seconds": 30.5,
        "images_per_second": 12.5,
        "batches": 1,
        "leaving": False,
    }
    return ServerStatus(**(fields | changes))


def enlistment(**changes: Any) -> Lease:
    fields = {
        "batch": BATCH,
        "queue": f"imgbatch.batch.{BATCH}",
        "topic": TOPIC,
        "lease_seconds": 30,
        "host": "desk.example",
    }
    return Lease(**(fields | changes))


def news(**changes: Any) -> BatchStatus:
    fields = {
        "batch": BATCH,
        "host": "desk.example",
        "total": 773,
        "scanning": True,
        "done": 12,
        "failed": 1,
        "machines": 2,
        "seconds": 3.5,
        "ended": False,
    }
    return BatchStatus(**(fields | changes))


WORKER_QUEUE = "imgbatch.worker.ffeeddccbbaa99887766554433221100"

EXAMPLES: dict[str, tuple[Frame, bytes]] = {
    "ticket": (ticket(), b"\xff\xd8\xff\xd9"),
    "fetch": (Fetch(BATCH, 7, WORKER_QUEUE, 3, True, MACHINE), b""),
    "chunk": (Chunk(BATCH, 7, 3, 1048576, 1048580), b"\x00\x01\x02\x03"),
    "cancel": (Cancel(BATCH, 7, 3), b""),
    "result": (result(), b"\x89PNG\r"),
    "thumbnails": (Thumbnails(BATCH, 7, 81985529216486895 >> 4, 4), b"\xff\xd8\xff\xd9" * 2),
    "inprogress": (InProgress(BATCH, (7, 8), MACHINE), b""),
    "returned": (Returned(BATCH, (7, 8, 300, 70_000), MACHINE), b""),
    "workercrashed": (
        WorkerCrashed(BATCH, 7, MACHINE, "worker-crashed", "a worker was killed by SIGSEGV"),
        b"",
    ),
    "lease": (enlistment(), b""),
    "leaseend": (LeaseEnd(BATCH), b""),
    "leaserefused": (
        LeaseRefused(BATCH, MACHINE, "darkroom-7.example", "'mail' is no queue of imgbatch's"),
        b"",
    ),
    "discover": (Discover("imgbatch.s.1"), b""),
    "serverstatus": (announcement(), b""),
    "batchstatus": (news(), b""),
}
"""One of each kind, with its payload; the keys are the kinds' names on the wire."""


def forged(frame: Frame, **changes: Any) -> bytes:
    """Return the bytes of a frame that no writer of ours would let through."""
    kind = msgpack.packb(type(frame).__name__.lower())
    head = kind + msgpack.packb(asdict(frame) | changes) + b"\xc4\x00"
    return bytes((0x95, PROTOCOL_VERSION)) + b"\xcf" + xxhash.xxh3_64_digest(head) + head


def nonsense(random: Random) -> tuple[Frame, bytes]:
    """Return a frame of any kind that every reader takes, and that means nothing."""
    name = random.choice(list(KINDS))
    fields = {field: _any_value(check, random) for field, check in checks_of(name).items()}
    return KINDS[name](**fields), random.randbytes(random.choice((0, 0, 3, 1000)))


def _any_value(check: Any, random: Random) -> Any:
    match check:
        case WholeNumber(lowest=lowest, highest=highest):
            return random.choice((lowest, highest, random.randint(lowest, min(highest, 20))))
        case RealNumber(highest=highest):
            return random.choice((0, highest, random.random()))
        case TrueOrFalse():
            return random.random() < 0.5
        case OneOf(words=words):
            return str(random.choice(words))
        case Text(longest=longest):
            return random.choice(("", "x" * longest, "ä" * longest, f"n-{random.getrandbits(20)}"))
        case RoutingKey():
            return random.choice(
                ("a" * 255, "amq.gen-x", "mail", f"imgbatch.{random.getrandbits(9)}")
            )
        case ListOf(item=item, longest=longest):
            return tuple(_any_value(item, random) for _ in range(random.choice((0, 1, longest))))
        case PlainMap():
            return {"brightness": random.choice((None, True, 10, "ten"))}
    raise AssertionError(f"no value for {check}")
