"""Frames to bytes and back: a head of fixed size, the fields in MessagePack, the payload.

The head holds two letters, the version, how many bytes of fields and of payload follow, and a hash
of all the rest. The hash is BLAKE3, keyed with the secret of the batch that the frame belongs to:
if it is right, the frame was written by the batch's client or by a server that has a lease from it,
and came undamaged. Kinds that belong to no batch have a key that is known, so theirs is a checksum.
The payload of a received frame is a memoryview of the message; nothing is copied. A message is one
frame, or several, one behind the other.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest

import msgspec
from blake3 import blake3

from imgbatch.buffer import Buffer
from imgbatch.errors import DamagedPayload, FrameTooLarge, MalformedFrame, VersionMismatch
from imgbatch.protocol.fields import SECRET_BYTES
from imgbatch.protocol.frames import (
    PROTOCOL_VERSION,
    BatchStatus,
    Discover,
    Frame,
    Lease,
    LeaseEnd,
    ServerStatus,
)

LARGEST_FIELDS_BYTES = 2**16 - 1
LARGEST_PAYLOAD_BYTES = 16 * 1024 * 1024
MOST_FRAMES = 64
"""In one message."""
_MAGIC = b"ib"
_START = struct.Struct(">2sBHI")
_HASH_BYTES = 16
_HEAD_BYTES = _START.size + _HASH_BYTES
_OPEN_KEY = bytes(SECRET_BYTES)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Frame)

Secrets = Mapping[str, bytes]
"""The secret of each batch that its owner takes part in."""
NO_SECRETS: Secrets = {}


@dataclass(frozen=True, slots=True)
class Received:
    """A frame that arrived, and its payload: a read-only view of the message itself."""

    frame: Frame
    payload: memoryview

    def __repr__(self) -> str:
        return f"Received({self.frame!r}, {len(self.payload)} bytes)"


def batch_of(secret: bytes) -> str:
    """Return the id of the batch that has a secret: no other batch can be given the same."""
    return derived(secret, "id")


def derived(secret: bytes, what: str) -> str:
    """Return 16 bytes, in hexadecimal, of a batch's own that tell nothing of its secret."""
    context = f"imgbatch: the {what} of a batch"
    return blake3(secret, derive_key_context=context).hexdigest(length=16)


def encode(frame: Frame, payload: Buffer = b"", secrets: Secrets = NO_SECRETS) -> bytes:
    """Return the bytes of a frame with its payload.

    Raises
    ------
    MalformedFrame, FrameTooLarge
        If no reader would take it.
    DamagedPayload
        If it belongs to a batch of which there is no secret.
    """
    fields, view = _ENCODER.encode(frame), memoryview(payload).cast("B")
    _check_sizes(len(fields), len(view))
    _read_fields(memoryview(fields))
    start = _START.pack(_MAGIC, PROTOCOL_VERSION, len(fields), len(view))
    return b"".join((start, _hash(_key_of(frame, secrets), start, fields, view), fields, view))


def decode(body: bytes, secrets: Secrets = NO_SECRETS) -> list[Received]:
    """Return all frames of a message, their payloads as views of `body`.

    Raises
    ------
    VersionMismatch
        If a peer of another major version wrote it.
    MalformedFrame
        If it is no frame, or the fields are not those of its kind.
    FrameTooLarge
        If a payload is over the limit, or there are too many frames.
    DamagedPayload
        If a hash does not hold: it is damaged, or its sender is no member of its batch.
    """
    rest, bundle = memoryview(body), list[Received]()
    while rest or not bundle:
        if len(bundle) == MOST_FRAMES:
            raise FrameTooLarge(f"a message of more than {MOST_FRAMES} frames")
        received, rest = _decode_first(rest, secrets)
        bundle.append(received)
    return bundle


def _decode_first(body: memoryview, secrets: Secrets) -> tuple[Received, memoryview]:
    """Return the frame that a message begins with, and what stands behind it."""
    if len(body) < 3 or body[:2] != _MAGIC:
        raise MalformedFrame("a message is not a frame of imgbatch's")
    if body[2] != PROTOCOL_VERSION:
        raise VersionMismatch(
            f"a peer speaks version {body[2]} of the protocol, this one version "
            f"{PROTOCOL_VERSION}; install the same major version of imgbatch on both"
        )
    if len(body) < _HEAD_BYTES:
        raise MalformedFrame("a frame breaks off in its head")
    _, _, fields_bytes, payload_bytes = _START.unpack_from(body)
    _check_sizes(fields_bytes, payload_bytes)
    first = _HEAD_BYTES + fields_bytes
    end = first + payload_bytes
    if len(body) < end:
        raise MalformedFrame(f"a frame announces {end} bytes and holds {len(body)}")
    frame = _read_fields(body[_HEAD_BYTES:first])
    found = _hash(_key_of(frame, secrets), body[: _START.size], body[_HEAD_BYTES:end])
    if not compare_digest(found, body[_START.size : _HEAD_BYTES]):
        raise DamagedPayload("a frame's hash does not hold: it is damaged, or forged")
    return Received(frame, body[first:end]), body[end:]


def _check_sizes(fields_bytes: int, payload_bytes: int) -> None:
    if fields_bytes > LARGEST_FIELDS_BYTES:
        raise FrameTooLarge(f"the fields of a frame take more than {LARGEST_FIELDS_BYTES} bytes")
    if payload_bytes > LARGEST_PAYLOAD_BYTES:
        raise FrameTooLarge(
            f"a payload of {payload_bytes} bytes; {LARGEST_PAYLOAD_BYTES} are allowed"
        )


def _read_fields(fields: memoryview) -> Frame:
    try:
        frame: Frame = _DECODER.decode(fields)
    except Exception as error:  # the library's own, and a RecursionError of what is nested deeply
        raise MalformedFrame(f"what a frame says makes no sense: {str(error)!a:.200}") from error
    return frame


def _key_of(frame: Frame, secrets: Secrets) -> bytes:
    if isinstance(frame, Discover | ServerStatus | BatchStatus):
        return _OPEN_KEY
    if isinstance(frame, Lease | LeaseEnd):
        secret = frame.secret if frame.batch == batch_of(frame.secret) else None
    else:
        secret = secrets.get(frame.batch)
    if secret is None:
        raise DamagedPayload("a frame of a batch whose secret is not known here")
    return secret


def _hash(key: bytes, *parts: Buffer) -> bytes:
    keyed = blake3(key=key)
    for part in parts:
        keyed.update(part)
    return keyed.digest(length=_HASH_BYTES)
