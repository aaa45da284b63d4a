"""Frames for tests: any that the fields' own bounds allow, and one fixed example of each kind."""

from __future__ import annotations

import string
import struct
from random import Random
from typing import Any, get_args

import msgpack
import msgspec
from blake3 import blake3
from hypothesis import strategies as st
from msgspec import inspect
from msgspec.structs import asdict, replace

from imgbatch.adjustment import Adjustment
from imgbatch.protocol.codec import Received, Secrets, batch_of, decode, encode
from imgbatch.protocol.frames import (
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
    ResultKind,
    Returned,
    ServerStatus,
    Thumbnails,
    Ticket,
    WorkerCrashed,
)
from imgbatch.recipe import Recipe

PRINTABLE = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"])
SECRET = bytes(range(32))
BATCH = batch_of(SECRET)
MACHINE = "darkroom-7-1a2b3c4d"
KINDS: dict[str, type[Frame]] = {kind.__name__.lower(): kind for kind in get_args(Frame)}


class _Every(dict[str, bytes]):
    def get(self, _batch: str, default: Any = None) -> Any:
        return SECRET


EVERY: Secrets = _Every()
"""One secret for every batch."""


def written(frame: Frame, payload: bytes = b"") -> bytes:
    """Return the bytes of a frame with the secret that all batches of the tests share."""
    return encode(frame, payload, EVERY)


def read(body: bytes) -> Received:
    """Return the one frame of a message that `written` could have written."""
    (received,) = decode(body, EVERY)
    return received


def seen(body: bytes) -> list[Frame]:
    """Return what everybody can read in a message, whatever its hashes are."""
    frames: list[Frame] = []
    while body:
        _, _, fields_bytes, payload_bytes = struct.unpack_from(">2sBHI", body)
        end = 25 + fields_bytes
        frames.append(msgspec.msgpack.decode(body[25:end], type=Frame))
        body = body[end + payload_bytes :]
    return frames


def types_of(kind: type[Frame]) -> dict[str, inspect.Type]:
    """Return the type of each field of a kind."""
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return {field.name: field.type for field in found.fields}


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Return all values that a type lets through, with its bounds among them."""
    match kind:
        case inspect.IntType(ge=lowest, le=highest):
            return st.integers(lowest, highest) | st.sampled_from([lowest, highest])
        case inspect.FloatType(le=highest):
            return st.floats(0, highest) | st.integers(0, int(highest or 0))
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.BytesType(max_length=longest):
            return st.binary(min_size=longest or 0, max_size=longest)
        case inspect.StrType():
            return _texts_of(kind)
        case inspect.VarTupleType(item_type=item):
            return st.lists(values_of(item), max_size=5).map(tuple)
        case inspect.UnionType(types=types):
            return st.one_of(map(values_of, types))
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(values_of(key), values_of(value), max_size=5)
    return {inspect.BoolType: st.booleans(), inspect.NoneType: st.none()}[type(kind)]


def _texts_of(kind: inspect.StrType) -> st.SearchStrategy[str]:
    if kind.pattern is None:
        texts = st.text(PRINTABLE | st.just(" "), max_size=20)
        return texts | st.just("ä" * (kind.max_length or 0))
    letters = st.sampled_from(string.ascii_letters + string.digits + "._-")
    return st.text(letters, min_size=1, max_size=30) | st.just("a" * (kind.max_length or 0))


def any_frame() -> st.SearchStrategy[Frame]:
    """Return frames of every kind with any valid fields; leases are of batches that there are."""
    return st.one_of(
        st.builds(kind, **{name: values_of(it) for name, it in types_of(kind).items()})
        for kind in KINDS.values()
    ).map(_with_right_batch)


def _with_right_batch(frame: Frame) -> Frame:
    if isinstance(frame, Lease | LeaseEnd):
        return replace(frame, batch=batch_of(frame.secret))
    return frame


def ticket(**changes: Any) -> Ticket:
    fields = {
        "batch": BATCH,
        "job": 7,
        "attempt": 0,
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
        "kind": ResultKind.DONE,
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
        "interval_seconds": 3.0,
    }
    return ServerStatus(**(fields | changes))


def enlistment(**changes: Any) -> Lease:
    fields = {
        "secret": SECRET,
        "lease_seconds": 30,
        "status_seconds": 3.0,
        "host": "desk.example",
    } | changes
    return Lease(**({"batch": batch_of(fields["secret"])} | fields))


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
    "leaseend": (LeaseEnd(BATCH, SECRET), b""),
    "leaserefused": (
        LeaseRefused(BATCH, MACHINE, "darkroom-7.example", "it works for 200 batches already"),
        b"",
    ),
    "discover": (Discover("imgbatch.s.1"), b""),
    "serverstatus": (announcement(), b""),
    "batchstatus": (news(), b""),
}
"""One of each kind, with its payload; the keys are the kinds' names on the wire."""


def sealed(
    fields: bytes, payload: bytes = b"", key: bytes = bytes(32), start: bytes | None = None
) -> bytes:
    """Return a frame of any bytes with a right hash: by default, that of a kind of no batch."""
    if start is None:
        start = struct.pack(">2sBHI", b"ib", PROTOCOL_VERSION, len(fields), len(payload))
    found = blake3(start + fields + payload, key=key).digest(length=16)
    return start + found + fields + payload


def fields_of(frame: Frame, **changes: Any) -> dict[str, Any]:
    """Return what a frame says, as it stands on the wire."""
    return {"frame": type(frame).__name__.lower()} | asdict(frame) | changes


def forged(frame: Frame, key: bytes = bytes(32), **changes: Any) -> bytes:
    """Return the bytes of a frame that no writer of ours would let through."""
    return sealed(msgpack.packb(fields_of(frame, **changes)), key=key)


def nonsense(random: Random) -> tuple[Frame, bytes]:
    """Return a frame of any kind that every reader takes, and that means nothing."""
    kind = random.choice(list(KINDS.values()))
    fields = {name: _any_value(it, random) for name, it in types_of(kind).items()}
    frame = _with_right_batch(kind(**fields))
    return frame, random.randbytes(random.choice((0, 0, 3, 1000)))


def _any_value(kind: inspect.Type, random: Random) -> Any:
    match kind:
        case inspect.IntType(ge=lowest, le=highest):
            some = random.randint(lowest or 0, min(highest or 0, 20))
            return random.choice((lowest, highest, some))
        case inspect.FloatType(le=highest):
            return random.choice((0, highest, random.random()))
        case inspect.BoolType():
            return random.random() < 0.5
        case inspect.EnumType(cls=cls):
            return random.choice(list(cls))
        case inspect.BytesType(max_length=longest):
            return random.randbytes(longest or 0)
        case inspect.StrType(pattern=str()):
            return random.choice(
                ("a" * 255, "amq.gen-x", "mail", f"imgbatch.{random.getrandbits(9)}")
            )
        case inspect.StrType(max_length=int(longest)):
            return random.choice(("", "x" * longest, "ä" * longest, f"n-{random.getrandbits(20)}"))
        case inspect.VarTupleType(item_type=item, max_length=int(longest)):
            return tuple(_any_value(item, random) for _ in range(random.choice((0, 1, longest))))
        case inspect.DictType():
            return {"brightness": random.choice((None, True, 10, "ten"))}
    raise AssertionError(f"no value for {kind}")
