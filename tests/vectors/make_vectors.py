"""Write the test vectors: bytes and their meaning, for whoever implements the protocol anew.

    python -m tests.vectors.make_vectors

``frames.json`` holds frames that every reader takes, ``bundles.json`` messages of several tickets,
and ``refused.json`` messages that every reader refuses. Bytes are hexadecimal. The same code writes
the same files, byte by byte.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgpack
import xxhash
from tests.support.frames import BATCH, EXAMPLES, MACHINE, result, ticket

from imgbatch.errors import Code
from imgbatch.protocol import PROTOCOL_VERSION, Discover, Frame, LeaseEnd, Returned, encode

FOLDER = Path(__file__).parent
_LARGEST = 2**53


def sealed(head: bytes) -> bytes:
    """Return a message with a right checksum over what follows it."""
    mark = b"\xcf" + xxhash.xxh3_64_digest(head)
    return bytes((0x95, PROTOCOL_VERSION)) + mark + head


def parts(kind: Any, fields: Any, payload_mark: bytes = b"\xc4\x00", payload: bytes = b"") -> bytes:
    """Return a sealed message of any parts, right or wrong."""
    return sealed(msgpack.packb(kind) + msgpack.packb(fields) + payload_mark + payload)


def _changed(name: str, /, **changes: Any) -> bytes:
    return parts(name, dataclasses.asdict(EXAMPLES[name][0]) | changes)


def _taken(name: str, why: str, frame: Frame, payload: bytes, body: bytes | None = None) -> Any:
    own = encode(frame, payload)
    return {
        "name": name,
        "why": why,
        "kind": type(frame).__name__.lower(),
        "fields": dataclasses.asdict(frame),
        "payload": payload.hex(),
        "bytes": (own if body is None else body).hex(),
        "written_like_this": body is None or body == own,
    }


def frames() -> list[Any]:
    """Return the frames that every reader takes."""
    call = {"queue": "imgbatch.s.1"}
    largest = ticket(job=_LARGEST, attempt=_LARGEST, size_bytes=_LARGEST, recipe={"n": -_LARGEST})
    bounds = result(
        kind="failed", code="c" * 200, sentence="s" * 2000, notes=("n" * 200, *"n" * 99), seconds=0
    )
    return [
        *(_taken(name, f"a {name}", *example) for name, example in EXAMPLES.items()),
        _taken("largest-numbers", "whole numbers reach 2**53", largest, b""),
        _taken("longest-texts", "texts and lists as long as allowed", bounds, b""),
        _taken("most-images", "a list of 1000", Returned("b", tuple(range(1000)), MACHINE), b""),
        _taken("any-script", "texts are UTF-8", LeaseEnd("Köln 東京 🌆"), b""),
        _taken("empty-texts", "texts may be empty", LeaseEnd(""), b""),
        _taken(
            "unknown-field",
            "a field that a reader does not know is passed over, whatever it holds",
            Discover("imgbatch.s.1"),
            b"",
            parts("discover", call | {"since": [1.5, {"a": None}]}),
        ),
        _taken(
            "other-order",
            "fields come in any order",
            EXAMPLES["returned"][0],
            b"",
            parts("returned", {"machine": MACHINE, "jobs": [7, 8, 300, 70_000], "batch": BATCH}),
        ),
        *(
            _taken(name, f"a payload's length as {name}", Discover("imgbatch.s.1"), b"abc", body)
            for name, body in (
                ("bin-8", parts("discover", call, b"\xc4\x03", b"abc")),
                ("bin-16", parts("discover", call, b"\xc5\x00\x03", b"abc")),
            )
        ),
    ]  # fmt: skip


def bundles() -> list[Any]:
    """Return messages of several tickets: the numbers of their images, or why they are refused."""
    tickets = [encode(ticket(job=job), b"abcd"[:job]) for job in range(5)]
    damaged = bytearray(b"".join(tickets[1:3]))
    damaged[-1] ^= 1
    table: list[tuple[str, str, bytes, list[int] | Code]] = [
        ("one", "one ticket alone", tickets[1], [1]),
        ("five", "one behind the other, without images and with", b"".join(tickets), [*range(5)]),
        ("most", "64 frames", tickets[0] * 64, [0] * 64),
        ("too-many", "65 frames", tickets[0] * 65, Code.FRAME_TOO_LARGE),
        ("bytes-to-spare", "a byte behind the last", tickets[1] + b"\0", Code.MALFORMED_FRAME),
        ("cut", "the last breaks off", b"".join(tickets)[:-1], Code.MALFORMED_FRAME),
        ("damaged", "a bit of the last has flipped", bytes(damaged), Code.DAMAGED_PAYLOAD),
    ]
    return [
        {"name": name, "why": why, "bytes": body.hex()}
        | ({"error": str(meaning)} if isinstance(meaning, Code) else {"jobs": meaning})
        for name, why, body, meaning in table
    ]


def refused() -> list[Any]:
    """Return the messages that every reader refuses, with the class of the error."""
    good = encode(ticket(), b"abcd")
    call = {"queue": "imgbatch.s.1"}
    flipped = bytearray(good)
    flipped[-1] ^= 1
    wrong_sum = bytearray(good)
    wrong_sum[5] ^= 0x80
    malformed, large, other, damaged = (
        Code.MALFORMED_FRAME,
        Code.FRAME_TOO_LARGE,
        Code.VERSION_MISMATCH,
        Code.DAMAGED_PAYLOAD,
    )
    many = [str(number) for number in range(51)]
    queue = b"\xa8discover\x81\xa5queue"
    most = b"\xff" * 4
    deep = b"\x91" * 1000 + b"\xc0"
    head = msgpack.packb("discover") + msgpack.packb(call)
    table: list[tuple[str, Code, str, bytes]] = [
        ("empty", malformed, "no bytes", b""),
        ("json", malformed, "another program's message", b'{"caller": "status"}'),
        ("map", malformed, "no array", msgpack.packb(call)),
        ("cut-in-head", malformed, "breaks off in its fields", good[:60]),
        ("cut-in-payload", malformed, "breaks off in its payload", good[:-1]),
        ("bytes-to-spare", malformed, "a byte behind the payload", good + b"\0"),
        ("two-frames", malformed, "a second frame where one is expected", good + good),
        ("four-parts", malformed, "an array of four", b"\x94" + good[1:]),
        ("six-parts", malformed, "an array of six", b"\x96" + good[1:] + b"\xc0"),
        ("version-0", other, "an earlier version", b"\x95\x00" + good[2:]),
        ("version-3", other, "a later version", b"\x95\x03" + good[2:]),
        ("version-3-alone", other, "a later version of another layout", b"\x93\x03\xc0\xc0"),
        ("version-true", malformed, "a version that is no number", b"\x95\xc3" + good[2:]),
        ("payload-flipped", damaged, "a bit of the payload has flipped", bytes(flipped)),
        ("checksum-flipped", damaged, "a bit of the checksum has flipped", bytes(wrong_sum)),
        ("checksum-text", malformed, "a checksum that is no number", b"\x95\x02\xa1x" + good[11:]),
        ("unknown-kind", malformed, "a kind that there is not", parts("pickle", call)),
        ("kind-number", malformed, "a kind that is no text", parts(7, call)),
        ("kind-deep", malformed, "a kind of 1000 nested lists", sealed(deep)),
        ("fields-list", malformed, "fields that are no map", parts("discover", ["status"])),
        ("fields-deep", malformed, "fields of 1000 nested lists", sealed(b"\xa4call" + deep)),
        ("key-number", malformed, "a field whose name is a number", parts("discover", {1: 2})),
        ("field-missing", malformed, "no queue", parts("discover", {})),
        ("text-number", malformed, "a number for a text", parts("discover", {"queue": 7})),
        ("text-long", large, "201 characters", parts("leaseend", {"batch": "x" * 201})),
        ("text-escape", malformed, "a terminal's escape", parts("leaseend", {"batch": "\x1b[2J"})),
        ("text-no-utf8", malformed, "a text, not UTF-8", sealed(queue + b"\xa1\xff\xc4\x00")),
        ("queue-long", large, "256 bytes", _changed("lease", queue="q" * 256)),
        ("queue-accent", malformed, "not ASCII", _changed("serverstatus", queue="é" * 200)),
        ("topic-wildcard", malformed, "a # in a routing key", _changed("ticket", topic="#")),
        ("topic-empty", malformed, "no routing key", _changed("ticket", topic="")),
        ("number-text", malformed, "a text for a number", _changed("ticket", job="7")),
        ("number-true", malformed, "true for a number", _changed("ticket", job=True)),
        ("number-real", malformed, "7.0 for a number", _changed("ticket", job=7.0)),
        ("number-negative", large, "below 0", _changed("ticket", job=-1)),
        ("number-large", large, "over 2**53", _changed("ticket", job=_LARGEST + 1)),
        ("processes-many", large, "1024 processes", _changed("serverstatus", procs=1024)),
        ("recipe-nested", malformed, "a list in a plain map", _changed("ticket", recipe={"a": []})),
        ("recipe-large", large, "51 entries", _changed("ticket", recipe=dict.fromkeys(many, 1))),
        ("kind-of-result", malformed, "no kind of result", _changed("result", kind="maybe")),
        ("list-long", large, "1001 images", _changed("returned", jobs=list(range(1001)))),
        ("list-announced", large, "announces 2**32 - 1 items", sealed(queue + b"\xdd" + most)),
        ("payload-text", malformed, "a text for a payload", sealed(head + b"\xa3abc")),
        ("payload-missing", malformed, "ends behind the fields", sealed(head)),
        ("payload-short", malformed, "announces 4 bytes, holds 3", sealed(head + b"\xc4\x04abc")),
        ("payload-announced", large, "announces 2**32 - 1 bytes", sealed(head + b"\xc6" + most)),
    ]  # fmt: skip
    return [
        {"name": name, "why": why, "error": str(code), "bytes": body.hex()}
        for name, code, why, body in table
    ]


def texts() -> dict[Path, str]:
    """Return what each file has to hold."""
    made = {"frames.json": frames(), "bundles.json": bundles(), "refused.json": refused()}
    return {
        FOLDER / name: json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"
        for name, vectors in made.items()
    }


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")
