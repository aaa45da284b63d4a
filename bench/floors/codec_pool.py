"""Decode and encode alone: read, libjpeg-turbo into a kept buffer and back, write; no pixel moves.

In a forked pool whose children import nothing but numpy and the codec, so its start costs next to
nothing either. Subsampling and quality are those that imgbatch writes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg

from bench.peers.arguments import Task, run_pool

_KEPT = [np.empty(0, np.uint8)]
_SUBSAMPLINGS = {"444": "444", "422": "422", "420": "420", "Gray": "Gray"}


def convert(task: Task, path: Path) -> None:
    """Pass one file through the codec."""
    data = path.read_bytes()
    height, width, _, subsampling = simplejpeg.decode_jpeg_header(data)
    samples = height * width * 3
    if _KEPT[0].size < samples:
        _KEPT[0] = np.empty(samples, np.uint8)
    pixels = _KEPT[0][:samples].reshape(height, width, 3)
    simplejpeg.decode_jpeg(data, "RGB", buffer=pixels)
    (task.output / path.name).write_bytes(
        simplejpeg.encode_jpeg(
            pixels,
            quality=task.quality,
            colorspace="RGB",
            colorsubsampling=_SUBSAMPLINGS.get(subsampling, "444"),
        )
    )


if __name__ == "__main__":
    run_pool("floors.codec_pool", convert)
