"""Write the test vectors: bytes and their meaning, for whoever implements the protocol anew.

    python -m tests.vectors.make_vectors

``frames.json`` holds frames that every reader takes, ``bundles.json`` messages of several tickets,
and ``refused.json`` messages that every reader refuses. Bytes are hexadecimal. The same code writes
the same files, byte by byte.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgpack
from msgspec.structs import asdict
from tests.support.frames import (
    BATCH,
    EXAMPLES,
    MACHINE,
    SECRET,
    enlistment,
    fields_of,
    forged,
    result,
    sealed,
    ticket,
    written,
)

from imgbatch.errors import Code
from imgbatch.protocol.frames import Cancel, Discover, Frame, LeaseEnd, Returned

FOLDER = Path(__file__).parent
_LARGEST = 2**53


def parts(fields: Any, payload: bytes = b"") -> bytes:
    """Return a frame of any fields, right or wrong."""
    return sealed(msgpack.packb(fields), payload)


def announcing(fields: Any, fields_bytes: int, payload_bytes: int) -> bytes:
    """Return a frame that announces other sizes than it has."""
    start = struct.pack(">2sBHI", b"ib", 2, fields_bytes, payload_bytes)
    return sealed(msgpack.packb(fields), start=start)


def _changed(name: str, /, **changes: Any) -> bytes:
    return forged(EXAMPLES[name][0], SECRET, **changes)


def _taken(name: str, why: str, frame: Frame, payload: bytes, body: bytes | None = None) -> Any:
    own = written(frame, payload)
    fields = asdict(frame)
    return {
        "name": name,
        "why": why,
        "kind": type(frame).__name__.lower(),
        "fields": fields | ({"secret": fields["secret"].hex()} if "secret" in fields else {}),
        "payload": payload.hex(),
        "bytes": (own if body is None else body).hex(),
        "written_like_this": body is None or body == own,
    }


def frames() -> list[Any]:
    """Return the frames that every reader takes."""
    largest = ticket(job=_LARGEST, attempt=_LARGEST, size_bytes=_LARGEST, recipe={"n": -_LARGEST})
    bounds = result(
        kind="failed", code="c" * 200, sentence="s" * 2000, notes=("n" * 200, *"n" * 99), seconds=0
    )
    return [
        *(_taken(name, f"a {name}", *example) for name, example in EXAMPLES.items()),
        _taken("largest-numbers", "whole numbers reach 2**53", largest, b""),
        _taken("longest-texts", "texts and lists as long as allowed", bounds, b""),
        _taken("most-images", "a list of 1000", Returned("b", tuple(range(1000)), MACHINE), b""),
        _taken("any-script", "texts are UTF-8", Cancel("Köln 東京 🌆", 1, 2), b""),
        _taken("empty-texts", "texts may be empty", Cancel("", 1, 2), b""),
        _taken(
            "unknown-field",
            "a field that a reader does not know is passed over, whatever it holds",
            Discover("imgbatch.s.1"),
            b"",
            parts(fields_of(Discover("imgbatch.s.1"), since=[1.5, {"a": None}])),
        ),
        _taken(
            "other-order",
            "fields come in any order",
            EXAMPLES["discover"][0],
            b"",
            parts({"queue": "imgbatch.s.1", "frame": "discover"}),
        ),
    ]  # fmt: skip


def bundles() -> list[Any]:
    """Return messages of several tickets: the numbers of their images, or why they are refused."""
    tickets = [written(ticket(job=job), b"abcd"[:job]) for job in range(5)]
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
    good = written(ticket(), b"abcd")
    call = fields_of(Discover("imgbatch.s.1"))
    fields = len(msgpack.packb(call))
    flipped = bytearray(good)
    flipped[-1] ^= 1
    wrong_hash = bytearray(good)
    wrong_hash[12] ^= 0x80
    malformed, large, other, damaged = (
        Code.MALFORMED_FRAME,
        Code.FRAME_TOO_LARGE,
        Code.VERSION_MISMATCH,
        Code.DAMAGED_PAYLOAD,
    )
    many = dict.fromkeys(map(str, range(51)), 1)
    queue = b"\x82\xa5frame\xa8discover\xa5queue"
    deep = b"\x91" * 1000 + b"\xc0"
    another = bytes(32)
    table: list[tuple[str, Code, str, bytes]] = [
        ("empty", malformed, "no bytes", b""),
        ("json", malformed, "another program's message", b'{"caller": "status"}'),
        ("cut-in-head", malformed, "breaks off in its head", good[:20]),
        ("cut-in-fields", malformed, "breaks off in its fields", good[:60]),
        ("cut-in-payload", malformed, "breaks off in its payload", good[:-1]),
        ("bytes-to-spare", malformed, "a byte behind the payload", good + b"\0"),
        ("version-0", other, "an earlier version", b"ib\x00" + good[3:]),
        ("version-3", other, "a later version", b"ib\x03" + good[3:]),
        ("version-3-alone", other, "a later version of another layout", b"ib\x03"),
        ("payload-flipped", damaged, "a bit of the payload has flipped", bytes(flipped)),
        ("hash-flipped", damaged, "a bit of the hash has flipped", bytes(wrong_hash)),
        ("forged", damaged, "by who does not know the secret", forged(ticket(), another)),
        ("unkeyed", damaged, "with the key of kinds of no batch", forged(LeaseEnd(BATCH, SECRET))),
        (
            "lease-of-another",
            damaged,
            "a batch that is not the secret's",
            forged(enlistment(secret=another), another, batch=BATCH),
        ),
        ("unknown-kind", malformed, "a kind that there is not", parts(call | {"frame": "pickle"})),
        ("kind-number", malformed, "a kind that is no text", parts(call | {"frame": 7})),
        ("kind-missing", malformed, "no kind", parts({"queue": "imgbatch.s.1"})),
        ("fields-list", malformed, "fields that are no map", parts(["status"])),
        ("fields-deep", malformed, "fields of 1000 nested lists", sealed(deep)),
        ("fields-none", malformed, "no fields", sealed(b"")),
        ("fields-two", malformed, "two maps", sealed(msgpack.packb(call) * 2)),
        ("key-number", malformed, "a field whose name is a number", parts(call | {1: 2})),
        ("field-missing", malformed, "no queue", parts({"frame": "discover"})),
        ("text-number", malformed, "a number for a text", parts(call | {"queue": 7})),
        ("text-long", malformed, "201 characters", _changed("cancel", batch="x" * 201)),
        ("text-escape", malformed, "a terminal's escape", _changed("cancel", batch="\x1b[2J")),
        ("text-no-utf8", malformed, "a text, not UTF-8", sealed(queue + b"\xa1\xff")),
        ("queue-long", malformed, "256 bytes", parts(call | {"queue": "q" * 256})),
        ("queue-accent", malformed, "not ASCII", _changed("serverstatus", queue="é" * 200)),
        ("queue-wildcard", malformed, "a # in a queue's name", _changed("fetch", queue="#")),
        ("queue-empty", malformed, "no name", _changed("fetch", queue="")),
        ("secret-short", malformed, "31 bytes", _changed("lease", secret=bytes(31))),
        ("number-text", malformed, "a text for a number", _changed("ticket", job="7")),
        ("number-true", malformed, "true for a number", _changed("ticket", job=True)),
        ("number-real", malformed, "7.0 for a number", _changed("ticket", job=7.0)),
        ("number-negative", malformed, "below 0", _changed("ticket", job=-1)),
        ("number-large", malformed, "over 2**53", _changed("ticket", job=_LARGEST + 1)),
        ("number-infinite", malformed, "infinite", _changed("result", seconds=float("inf"))),
        ("number-none", malformed, "not a number", _changed("result", seconds=float("nan"))),
        ("flag-number", malformed, "1 for true", _changed("fetch", begins=1)),
        ("text-backwards", malformed, "changes direction", _changed("cancel", batch="\u202e")),
        ("processes-many", malformed, "1024 processes", _changed("serverstatus", procs=1024)),
        ("recipe-nested", malformed, "a list in a plain map", _changed("ticket", recipe={"a": []})),
        ("recipe-large", malformed, "51 entries", _changed("ticket", recipe=many)),
        ("kind-of-result", malformed, "no kind of result", _changed("result", kind="maybe")),
        ("list-long", malformed, "1001 images", _changed("returned", jobs=list(range(1001)))),
        ("list-announced", malformed, "2**32 - 1 items", sealed(queue + b"\xdd" + b"\xff" * 4)),
        ("payload-short", malformed, "announces 4 bytes, holds 0", announcing(call, fields, 4)),
        ("payload-large", large, "announces 2**32 - 1", announcing(call, fields, 2**32 - 1)),
        ("fields-short", malformed, "announces a byte too many", announcing(call, fields + 1, 0)),
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
