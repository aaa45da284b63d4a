"""Photographs that keep a `fragile_server` busy, so that there is time for faults."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from tests.support.fragile_server import linger
from tests.support.photos import fill


def slow(folder: Path, count: int, milliseconds: int) -> Path:
    """Fill a folder with small photographs, each of which takes so much longer."""
    for path in fill(folder, count):
        path.write_bytes(path.read_bytes() + linger(milliseconds))
    return folder


def large(folder: Path, count: int, milliseconds: int = 0) -> Path:
    """Fill a folder with photographs of about 2 MB, each of which travels in several chunks."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        file = io.BytesIO()
        noise = np.random.default_rng(number).integers(0, 256, (900, 1000, 3), np.uint8)
        Image.fromarray(noise).save(file, "JPEG", quality=97, subsampling=0)
        assert len(file.getvalue()) > 1_500_000
        path = folder / f"large-{number:03}.jpg"
        path.write_bytes(file.getvalue() + linger(milliseconds))
    return folder
