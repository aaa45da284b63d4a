"""HEIF files, put together from pieces of those in ``tests/samples``.

The samples are `images.pixels`, coded by x265, which is no part of the project. Some are without
loss: ``phone`` (to be turned by 90 degrees, and its EXIF block says so again), ``deep``,
``alpha``, ``grey``, ``tile``; of ``p3``, ``pq`` and ``two``, only what they say of themselves
matters.
"""

from __future__ import annotations

import struct
from pathlib import Path

from imgbatch.images.isobmff import boxes, find

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(name: str) -> bytes:
    """Return a sample."""
    return (SAMPLES / f"{name}.heic").read_bytes()


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box."""
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box with a version and flags."""
    return box(kind, bytes((version, 0, 0, flags)), *parts)


def grid(
    columns: int = 2, size: tuple[int, int] | None = None, mdats: int = 1, rows: int = 1
) -> bytes:
    """Return a picture of tiles, each ``sample("tile")``, as phones write them.

    Parameters
    ----------
    size
        What it says of the whole.
    mdats
        In how many boxes the tiles lie.
    """
    data = memoryview(sample("tile"))
    configuration = bytes(find(data, b"meta", b"iprp", b"ipco", b"hvcC"))
    coded = bytes(find(data, b"mdat"))
    width, height = size or (64 * columns, 64 * rows)
    tiles = range(1, columns * rows + 1)
    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    grid_data = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    names = [
        full_box(b"infe", struct.pack(">HH4sx", number, 0, kind), version=2, flags=kind == b"hvc1")
        for number, kind in [*((tile, b"hvc1") for tile in tiles), (9999, b"grid")]
    ]
    properties = [
        box(b"hvcC", configuration),
        full_box(b"ispe", struct.pack(">II", 64, 64)),
        full_box(b"ispe", struct.pack(">II", width, height)),
    ]
    uses = [struct.pack(">HBBB", tile, 2, 0x81, 2) for tile in tiles] + [b"\x27\x0f\1\3"]
    references = box(b"dimg", struct.pack(f">HH{len(tiles)}H", 9999, len(tiles), *tiles))

    def meta(start: int) -> bytes:
        places = [
            struct.pack(">HHHHII", tile, 0, 0, 1, start + 8 + (tile - 1) * step, len(coded))
            for tile in tiles
        ]
        places.append(struct.pack(">HHHHII", 9999, 1, 0, 1, 0, len(grid_data)))
        return full_box(
            b"meta",
            full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", struct.pack(">H", 9999)),
            full_box(b"iinf", struct.pack(">H", len(names)), *names),
            full_box(b"iref", references),
            box(
                b"iprp",
                box(b"ipco", *properties),
                full_box(b"ipma", struct.pack(">I", len(uses)), *uses),
            ),
            box(b"idat", grid_data),
            full_box(b"iloc", b"\x44\0", struct.pack(">H", len(places)), *places, version=1),
        )

    step = len(coded) + (8 if mdats > 1 else 0)
    start = len(head) + len(meta(0))
    pieces = [coded] * len(tiles)
    bodies = [box(b"mdat", piece) for piece in pieces] if mdats > 1 else [box(b"mdat", *pieces)]
    return b"".join((head, meta(start), *bodies))


def box_ends(file: bytes) -> list[int]:
    """Return where each box of the file, and each one in its ``meta``, ends."""
    ends, position = [], 0
    for kind, body in boxes(memoryview(file)):
        if kind == b"meta":
            inner = position + 12
            for _, part in boxes(body[4:]):
                inner += 8 + len(part)
                ends.append(inner)
        position += 8 + len(body)
        ends.append(position)
    return ends
