"""Frames to bytes and back: ``[version, checksum, kind, fields, payload]`` in msgpack.

The version comes first, so that it can be read whatever follows. The checksum (XXH3, 64 bits,
always in msgpack's nine-byte form) covers every byte behind it. The payload comes last, so that
the bytes of a received frame from some offset to their end *are* the payload: `decode` hands out
a memoryview of them and copies nothing. A message is one frame, or several, one behind the other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_args, get_type_hints

import msgpack
import xxhash

from imgbatch.buffer import Buffer
from imgbatch.errors import DamagedPayload, FrameTooLarge, MalformedFrame, VersionMismatch
from imgbatch.protocol.fields import Check
from imgbatch.protocol.frames import PROTOCOL_VERSION, Frame

_ENVELOPE_ITEMS = 5
_CHECKSUM = struct.Struct(">BQ")
_UINT64_MARK = 0xCF
_MOST_ITEMS = 1_000
"""Of any list or map in a frame, the longest of our own being a `Returned`'s images."""
_PAYLOAD_LENGTHS = {0xC4: struct.Struct(">B"), 0xC5: struct.Struct(">H"), 0xC6: struct.Struct(">I")}
KINDS: dict[str, type[Frame]] = {kind.__name__.lower(): kind for kind in get_args(Frame)}
"""Each kind of frame by its name on the wire."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What a reader accepts, checked before anything is allocated for it.

    Parameters
    ----------
    head_bytes
        All of a frame that comes before its payload's first byte.
    payload_bytes
        A frame's payload.
    frames
        In one message.
    """

    head_bytes: int = 64 * 1024
    payload_bytes: int = 16 * 1024 * 1024
    frames: int = 64


DEFAULT_LIMITS = WireLimits()


@dataclass(frozen=True, slots=True)
class Received:
    """A frame that arrived, and its payload: a read-only view of the message itself."""

    frame: Frame
    payload: memoryview

    def __repr__(self) -> str:
        return f"Received({self.frame!r}, {len(self.payload)} bytes)"


@cache
def checks_of(kind_name: str) -> dict[str, Check]:
    """Return the check of each field of a kind, read from its annotations."""
    kind = KINDS[kind_name]
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: get_args(hints[item.name])[1] for item in fields(kind)}


def encode(frame: Frame, payload: Buffer = b"") -> bytes:
    """Return the bytes of a frame with its payload.

    Raises
    ------
    MalformedFrame, FrameTooLarge
        If a field holds what its kind does not allow, or all together are more than the default
        limits: no reader would accept the frame.
    """
    kind_name = type(frame).__name__.lower()
    values = {}
    for name, check in checks_of(kind_name).items():
        values[name] = value = getattr(frame, name)
        check(name, value)
    view = memoryview(payload).cast("B")
    _check_payload_size(len(view), DEFAULT_LIMITS)
    head = b"".join(
        (
            msgpack.packb(kind_name),
            msgpack.packb(values),
            _payload_mark(len(view)),
        )
    )
    _check_head_size(2 + _CHECKSUM.size + len(head), DEFAULT_LIMITS)
    digest = xxhash.xxh3_64(head)
    digest.update(view)
    mark = _CHECKSUM.pack(_UINT64_MARK, digest.intdigest())
    return b"".join((bytes((0x90 | _ENVELOPE_ITEMS, PROTOCOL_VERSION)), mark, head, view))


def _payload_mark(size_bytes: int) -> bytes:
    # Always the five-byte form: a reader that knows it finds the payload without a table.
    return struct.pack(">BI", 0xC6, size_bytes)


def _check_head_size(size_bytes: int, limits: WireLimits) -> None:
    if size_bytes > limits.head_bytes:
        raise FrameTooLarge(f"the fields of a frame take more than {limits.head_bytes} bytes")


def _check_payload_size(size_bytes: int, limits: WireLimits) -> None:
    if size_bytes > limits.payload_bytes:
        raise FrameTooLarge(f"a payload of {size_bytes} bytes; {limits.payload_bytes} are allowed")


def decode(body: bytes, limits: WireLimits = DEFAULT_LIMITS) -> Received:
    """Return the one frame that a message holds, its payload as a view of `body`.

    Raises
    ------
    VersionMismatch
        If a peer of another major version wrote it.
    MalformedFrame
        If it is not msgpack, or not the fields of its kind.
    FrameTooLarge
        If a size or count in it is over a limit.
    DamagedPayload
        If its checksum does not hold. What the frame seems to say is in the exception's
        ``frame``: a hint at what to ask for again, and not to be trusted.
    """
    received, behind = _decode_first(memoryview(body), limits)
    if behind:
        raise MalformedFrame(f"{len(behind)} bytes behind a frame that stands alone")
    return received


def decode_bundle(body: bytes, limits: WireLimits = DEFAULT_LIMITS) -> list[Received]:
    """Return all frames of a message in which they stand one behind the other.

    Raises
    ------
    VersionMismatch, MalformedFrame, FrameTooLarge, DamagedPayload
        As `decode` does, if any of them is at fault: where one ends is known from itself alone.
    """
    received, behind = _decode_first(memoryview(body), limits)
    bundle = [received]
    while behind:
        if len(bundle) == limits.frames:
            raise FrameTooLarge(f"a message of more than {limits.frames} frames")
        received, behind = _decode_first(behind, limits)
        bundle.append(received)
    return bundle


def _decode_first(body: memoryview, limits: WireLimits) -> tuple[Received, memoryview]:
    """Return the frame that a message begins with, and what stands behind it."""
    reader = _head_reader(body, limits)
    checksum, start = _read_version_and_checksum(reader)
    kind_name, values = _unpack(reader), _unpack(reader)
    first, end = _find_payload(body, reader.tell(), limits)
    frame = _frame_of(kind_name, values)
    if xxhash.xxh3_64_intdigest(body[start:end]) != checksum:
        raise DamagedPayload("a frame's checksum does not hold: damaged on its way", frame)
    return Received(frame, body[first:end]), body[end:]


def _head_reader(body: memoryview, limits: WireLimits) -> msgpack.Unpacker:
    # The payload lies behind the head, so the reader never needs to see more than the longest
    # head; strings in it are bounded by the bytes that are really there. Lists are not: msgpack
    # makes room for as many items as are announced, again at each level of nesting.
    reader = msgpack.Unpacker(
        max_buffer_size=limits.head_bytes,
        max_array_len=_MOST_ITEMS,
        max_map_len=_MOST_ITEMS,
        max_ext_len=0,
        strict_map_key=True,
        use_list=False,
    )
    reader.feed(body[: limits.head_bytes])
    return reader


def _read_version_and_checksum(reader: msgpack.Unpacker) -> tuple[int, int]:
    try:
        items = reader.read_array_header()
    except Exception as error:
        raise MalformedFrame("a message is not a frame: it is not a msgpack array") from error
    version = _unpack(reader)
    if type(version) is not int:
        raise MalformedFrame("a message is not a frame: it does not begin with a version")
    if version != PROTOCOL_VERSION:
        raise VersionMismatch(
            f"a peer speaks version {version} of the protocol, this one version "
            f"{PROTOCOL_VERSION}; install the same major version of imgbatch on both"
        )
    if items != _ENVELOPE_ITEMS:
        raise MalformedFrame(f"a frame has {_ENVELOPE_ITEMS} parts, not {items}")
    checksum = _unpack(reader)
    if type(checksum) is not int:
        raise MalformedFrame("a frame's checksum is not an integer")
    return checksum, reader.tell()


def _unpack(reader: msgpack.Unpacker) -> Any:
    # The library's documentation allows any exception for hostile input, hence the wide net:
    # OutOfData, FormatError, StackError, ValueError and UnicodeDecodeError have been seen.
    try:
        return reader.unpack()
    except Exception as error:
        if "exceeds max_" in str(error):
            raise FrameTooLarge(f"a frame announces more than is allowed ({error})") from error
        raise MalformedFrame(f"a frame breaks off or is no msgpack ({error!r:.80})") from error


def _find_payload(body: memoryview, start: int, limits: WireLimits) -> tuple[int, int]:
    """Return where the payload whose mark is at `start` begins, and where it ends."""
    mark = body[start] if start < len(body) else None
    length_format = _PAYLOAD_LENGTHS.get(mark) if mark is not None else None
    if length_format is None:
        raise MalformedFrame("a frame ends in no binary payload")
    first = start + 1 + length_format.size
    if first > len(body):
        raise MalformedFrame("a frame breaks off before its payload")
    _check_head_size(first, limits)
    (size_bytes,) = length_format.unpack_from(body, start + 1)
    _check_payload_size(size_bytes, limits)
    if len(body) - first < size_bytes:
        raise MalformedFrame(
            f"a frame announces {size_bytes} bytes of payload and holds {len(body) - first}"
        )
    return first, first + size_bytes


def _frame_of(kind_name: object, values: object) -> Frame:
    if not isinstance(kind_name, str):
        # Never shown: the repr of what is nested deeply enough is itself an error.
        raise MalformedFrame("a frame's kind is not text")
    if kind_name not in KINDS:
        raise MalformedFrame(f"a frame of an unknown kind, {kind_name!r:.60}")
    if not isinstance(values, dict):
        raise MalformedFrame(f"the fields of a {kind_name} are not a map")
    checks = checks_of(kind_name)
    for name, check in checks.items():
        if name not in values:
            raise MalformedFrame(f"a {kind_name} has no {name}")
        check(name, values[name])
    return KINDS[kind_name](**{name: values[name] for name in checks})
