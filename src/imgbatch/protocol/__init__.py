"""What clients and servers say to one another, and nothing about how it travels.

`frames` lists the kinds, `codec` turns them into bytes and back, `assembly` puts a payload in
pieces together again, `slicing` cuts one: the same bytes can be produced and read by any msgpack
library in any language (`docs/protocol.md`). `client_session` and `worker_session` are the two
sides of the conversation: events in, actions out, with tables that decide (`in_flight` has the
client's). No sockets, no files, no clock, no threads, no pixels.
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
