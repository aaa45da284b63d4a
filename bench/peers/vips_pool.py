"""pyvips, which streams an image through its operations, in a `multiprocessing.Pool`."""

from __future__ import annotations

import os
from pathlib import Path

from bench.peers.arguments import Task, run_pool

os.environ.setdefault("VIPS_CONCURRENCY", "1")  # read when libvips is loaded


def prepare() -> None:
    """Load libvips after the fork, whose threads would not survive it."""
    import pyvips

    pyvips.cache_set_max(0)  # each image is seen once


def convert(task: Task, path: Path) -> None:
    """Adjust one file."""
    import pyvips

    terms = task.coefficients
    k = round(256 * terms.neighbour)
    kernel = pyvips.Image.new_from_list([[0, -k, 0], [-k, 256 + 4 * k, -k], [0, -k, 0]], scale=256)
    image = pyvips.Image.new_from_file(str(path), access="sequential")
    image = image.linear(terms.slope, terms.offset, uchar=True)
    image = image.conv(kernel, precision="integer")
    options = {} if path.suffix == ".png" else {"Q": task.quality, "subsample_mode": "on"}
    image.write_to_file(str(task.output / path.name), **options)


if __name__ == "__main__":
    run_pool("peers.vips_pool", convert, prepare)
