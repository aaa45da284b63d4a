"""Small made-up photographs: smooth, with an edge and some grain, the same for the same seed."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(width: int = 48, height: int = 32, seed: int = 0) -> np.ndarray:
    """Return an RGB image, shape (height, width, 3), uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    shade = 255 * (x + y) / (width + height)
    image = np.stack([shade, 255 - shade, np.where(x > width // 2, 200, 40)], axis=-1)
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def encoded(suffix: str, width: int = 48, height: int = 32, seed: int = 0) -> bytes:
    """Return such an image as a ``.jpg`` or ``.png`` file's bytes."""
    file = io.BytesIO()
    picture = Image.fromarray(pixels(width, height, seed))
    if suffix == ".png":
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=88)
    return file.getvalue()


def fill(folder: Path, count: int, suffix: str = ".jpg", **size: int) -> list[Path]:
    """Write `count` different photographs into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"IMG_{number:04}{suffix}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(suffix, seed=number, **size))
    return paths


def black_png(width: int, height: int) -> bytes:
    """Return a file of a thousandth of its pixels' size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes((1 + 3 * width) * height), 1)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (*chunks, (b"IEND", b""))
    )
