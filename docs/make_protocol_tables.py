"""Write the tables of docs/protocol.md from the code, so that they can't differ from it.

    python docs/make_protocol_tables.py

What stands between ``<!-- table of KIND -->`` and ``<!-- end -->`` is replaced: the fields of a
kind with their types, bounds and meanings, or an example's bytes with what each of them is.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

from msgspec.inspect import (
    BoolType,
    BytesType,
    DictType,
    EnumType,
    FloatType,
    IntType,
    StrType,
    StructType,
    VarTupleType,
    type_info,
)

from imgbatch.adjustment import Adjustment
from imgbatch.protocol.codec import encode
from imgbatch.protocol.frames import Chunk, Discover, Frame
from imgbatch.recipe import Recipe

PAGE = Path(__file__).with_name("protocol.md")
_BLOCK = re.compile(r"(<!-- (table|bytes) of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

KINDS = {kind.__name__.lower(): kind for kind in get_args(Frame)}
PARTICULAR = {
    "ticket.batch": "the run's id",
    "ticket.job": "the image's number in its run",
    "ticket.recipe": "what becomes of the image, see below",
    "result.kind": "what the worker made of the image",
    "result.code": "why it failed or was skipped, a stable word; empty if it was not",
    "result.sentence": "the same for people",
    "serverstatus.procs": "worker processes",
    "serverstatus.busy": "how many of them hold an image",
    "serverstatus.images": "images done since the server was started",
    "serverstatus.busy_seconds": "the workers' time spent on them",
}
COMMON = {
    "batch": "the run's id",
    "secret": "the run's secret, of which its id is made",
    "job": "the image's number in its run",
    "machine": "the id of the machine that says so",
    "host": "the name of the computer, for people",
    "queue": "where the answer goes",
    "transfer": "the number of this sending",
    "offset_bytes": "where the payload belongs",
    "jobs": "the images' numbers",
    "code": "a stable word",
    "sentence": "for people",
    "name": "what people call the machine; need not be unlike others'",
    "width_pixels": "of the new image; 0 if there is none",
    "height_pixels": "likewise",
    "done": "images that have ended, however",
    "failed": "those of them that failed",
    "machines": "how many work for the run at present",
    "seconds": "since the run was begun",
    "ended": "the run is over; forget it",
    "scanning": "more images may be found",
    "total": "images found so far",
}


def type_of(kind: Any) -> str:
    """Return a type with its bounds in words."""
    match kind:
        case IntType(ge=lowest, le=highest):
            power = (highest + 1).bit_length() - 1
            top = f"2^{power}" + (" - 1" if highest == 2**power - 1 else "")
            words = f"integer, {lowest}..{top}"
        case FloatType():
            words = "number, 0..2^53"
        case BoolType():
            words = "true or false"
        case EnumType(cls=choices):
            words = "one of " + ", ".join(f"`{word}`" for word in choices)
        case StrType(pattern=str()):
            words = "name: 1 to 255 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-`"
        case StrType(max_length=longest):
            words = f"text, at most {longest} characters"
        case BytesType(max_length=length):
            words = f"{length} bytes"
        case VarTupleType(item_type=item, max_length=longest):
            words = f"list of at most {longest}: {type_of(item)}"
        case DictType(max_length=longest):
            words = f"map of at most {longest} plain values"
        case _:
            raise TypeError(f"no words for {kind}")
    return words


def types_of(name: str) -> dict[str, Any]:
    """Return the type of each field of a kind."""
    kind = type_info(KINDS[name])
    assert isinstance(kind, StructType)
    return {field.name: field.type for field in kind.fields}


def meanings_of(kind: type) -> dict[str, str]:
    """Return what a kind's docstring says of its fields."""
    _, _, parameters = inspect.cleandoc(kind.__doc__ or "").partition("Parameters\n----------\n")
    found = {}
    for entry in re.split(r"\n(?=\S)", parameters):
        names, _, text = entry.partition("\n")
        for name in names.split(", "):
            found[name.strip()] = " ".join(text.split()).rstrip(".")
    return found


def table_of(name: str) -> str:
    """Return the table of a kind's fields."""
    meanings = COMMON | meanings_of(KINDS[name])
    lines = ["| field | holds | meaning |", "| --- | --- | --- |"]
    for field, kind in types_of(name).items():
        meaning = PARTICULAR.get(f"{name}.{field}", meanings[field]).replace("``", "`")
        if not meaning.startswith("URL"):
            meaning = meaning[0].lower() + meaning[1:]
        lines.append(f"| `{field}` | {type_of(kind)} | {meaning} |")
    return "\n".join(lines)


def table_of_recipe() -> str:
    """Return the table of a recipe's fields and their values where nothing is asked for."""
    fields = Recipe(Adjustment()).to_fields().items()
    rows = [f"| `{name}` | `{json.dumps(value)}` |" for name, value in fields]
    return "\n".join(["| field | where nothing is asked for |", "| --- | --- |", *rows])


def bytes_of(name: str) -> str:
    """Return an example's bytes, part by part."""
    frame: Any = {
        "discover": Discover("imgbatch.s.1"),
        "chunk": Chunk(batch="b", job=7, transfer=3, offset_bytes=0, size_bytes=3),
    }[name]
    payload = b"" if name == "discover" else b"\x01\x02\x03"
    body = encode(frame, payload, {"b": bytes(range(32))})
    end = len(body) - len(payload)
    parts = [
        (body[:2], 'the letters "ib"'),
        (body[2:3], "version 2"),
        (body[3:5], f"{end - 25} bytes of fields"),
        (body[5:9], f"{len(payload)} bytes of payload"),
        (body[9:25], "hash"),
        *_fields(body[25:end]),
    ]
    if payload:
        parts.append((payload, "the payload itself"))
    rows = [f"{part.hex(' '):<{_WIDTH}}  {meaning}" for part, meaning in parts]
    return "\n".join(["```", *rows, "```"])


_WIDTH = 60


def _fields(fields: bytes) -> list[tuple[bytes, str]]:
    """Return the bytes of a map of fields, entry by entry."""
    from msgspec import msgpack

    count = fields[0] & 0x0F
    parts = [(fields[:1], f"fields: a map of {count}")]
    for name, value in msgpack.decode(fields).items():
        entry = msgpack.encode(name) + msgpack.encode(value)
        shown = f'"{value}"' if isinstance(value, str) else value
        parts.append((entry, f"{name}: {shown}"))
    return parts


def current(page: str) -> str:
    """Return the page with its tables as the code has them now."""

    def replace(match: re.Match[str]) -> str:
        what, name = match[2], match[3]
        if what == "bytes":
            text = bytes_of(name)
        else:
            text = table_of_recipe() if name == "recipe" else table_of(name)
        return f"{match[1]}\n{text}\n\n{match[4]}"

    return _BLOCK.sub(replace, page)


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
