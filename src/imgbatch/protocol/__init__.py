"""The frames that clients and servers exchange, and nothing about how they travel.

`frames` lists the kinds, `codec` turns them into bytes and back, `assembly` puts a payload in
pieces together again, `slicing` cuts one. No sockets, no files, no clock, no pixels: the same
bytes can be produced and read by any msgpack library in any language (`docs/protocol.md`).
"""

from imgbatch.protocol.codec import Received, WireLimits, decode, decode_bundle, encode
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

__all__ = [
    "PROTOCOL_VERSION",
    "BatchStatus",
    "Cancel",
    "Chunk",
    "Discover",
    "Fetch",
    "Frame",
    "InProgress",
    "Lease",
    "LeaseEnd",
    "LeaseRefused",
    "Received",
    "Result",
    "ResultKind",
    "Returned",
    "ServerStatus",
    "Thumbnails",
    "Ticket",
    "WireLimits",
    "WorkerCrashed",
    "decode",
    "decode_bundle",
    "encode",
]
