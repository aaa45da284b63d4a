"""TIFF files of every layout, written by the tests' own writer."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
TILE = 16


@dataclass(frozen=True)
class Layout:
    """How the samples of a picture lie in a TIFF."""

    order: str = "<"
    planar: bool = False
    tiled: bool = False
    predictor: bool = False
    compression: int = NONE
    rows_per_strip: int = 7


def pack_bits(data: bytes) -> bytes:
    """Return the bytes as literal runs."""
    runs = (data[start : start + 128] for start in range(0, len(data), 128))
    return b"".join(bytes((len(run) - 1,)) + run for run in runs)


def lzw(data: bytes) -> bytes:
    """Return the bytes as literal codes of 9 bits, with a clear code before they grow to 10."""
    codes = []
    for start in range(0, len(data), 250):
        codes += [256, *data[start : start + 250]]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


COMPRESSORS = {NONE: bytes, LZW: lzw, DEFLATE: zlib.compress, PACKBITS: pack_bits}


def blocks_of(plane: Any, layout: Layout) -> list[Any]:
    """Return the strips, or the tiles padded to their full size, of one plane."""
    height, width, _ = plane.shape
    if not layout.tiled:
        return [
            plane[top : top + layout.rows_per_strip]
            for top in range(0, height, layout.rows_per_strip)
        ]
    padded = np.pad(plane, ((0, -height % TILE), (0, -width % TILE), (0, 0)), "edge")
    return [
        padded[top : top + TILE, left : left + TILE]
        for top in range(0, height, TILE)
        for left in range(0, width, TILE)
    ]


def block_bytes(block: Any, layout: Layout) -> bytes:
    """Return one strip or tile as it is stored."""
    if layout.predictor:
        block = np.concatenate((block[:, :1], np.diff(block, axis=1)), axis=1)
    samples = block.astype(block.dtype.newbyteorder(layout.order)).tobytes()
    return COMPRESSORS[layout.compression](samples)


def field(order: str, tag: int, letter: str, *values: int) -> tuple[int, int, bytes, int]:
    """Return a field's tag, type, bytes and count."""
    kind = {"H": 3, "I": 4}[letter]
    return tag, kind, struct.pack(f"{order}{len(values)}{letter}", *values), len(values)


def directory(order: str, start: int, fields: list[tuple[int, int, bytes, int]]) -> bytes:
    """Return a directory that stands at an offset; its fields may repeat a tag."""
    behind = start + 2 + 12 * len(fields) + 4
    table, values = struct.pack(f"{order}H", len(fields)), b""
    for tag, kind, value, count in fields:
        place = value.ljust(4, b"\0")
        if len(value) > 4:
            place = struct.pack(f"{order}I", behind + len(values))
            values += value + b"\0" * (len(value) % 2)
        table += struct.pack(f"{order}HHI", tag, kind, count) + place
    return table + b"\0\0\0\0" + values


def tiff(
    pixels: Any, layout: Layout = Layout(), extra: list[tuple[int, int, bytes, int]] | None = None
) -> bytes:
    """Return a TIFF of grey, RGB or RGBA pixels; `extra` fields stand behind the others."""
    height, width, samples = pixels.shape
    planes = np.split(pixels, samples, axis=2) if layout.planar else [pixels]
    blocks = [block_bytes(block, layout) for plane in planes for block in blocks_of(plane, layout)]
    order, data, offsets = layout.order, b"", []
    for block in blocks:
        offsets.append(8 + len(data))
        data += block + b"\0" * (len(block) % 2)
    sizes = [len(block) for block in blocks]
    fields = [
        field(order, 256, "I", width),
        field(order, 257, "I", height),
        field(order, 258, "H", *(8 * pixels.itemsize,) * samples),
        field(order, 259, "H", layout.compression),
        field(order, 262, "H", 2 if samples > 2 else 1),
        field(order, 277, "H", samples),
        field(order, 284, "H", 1 + layout.planar),
        field(order, 317, "H", 1 + layout.predictor),
    ]
    if layout.tiled:
        fields += [
            field(order, 322, "I", TILE),
            field(order, 323, "I", TILE),
            field(order, 324, "I", *offsets),
            field(order, 325, "I", *sizes),
        ]
    else:
        fields += [
            field(order, 273, "I", *offsets),
            field(order, 278, "I", layout.rows_per_strip),
            field(order, 279, "I", *sizes),
        ]
    if samples in (2, 4):
        fields.append(field(order, 338, "H", 2))
    start = 8 + len(data)
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}2sHI", mark, 42, start)
    return head + data + directory(order, start, sorted(fields) + (extra or []))
