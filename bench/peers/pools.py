"""Libraries, and a codec alone, in a pool: ``python -m bench.peers.pools PEER INPUT OUTPUT``.

What a library needs is imported before the pool forks, so that its start costs each process
nothing; only libvips comes after the fork, which its threads would not survive.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.baseline.operation import FACTORS, QUALITY, TERMS, adjusted

_KEPT = [np.empty(0, np.uint8)]


def opencv(source: Path, target: Path) -> None:
    image = adjusted(cv2.imread(str(source)))
    cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def pillow(source: Path, target: Path) -> None:
    """Adjust one file by ImageEnhance.

    Its brightness is a factor, its contrast turns about the image's mean and its sharpness blends
    with a smoothed copy: not the same pixels, but the three calls a user of Pillow would reach for.
    """
    from PIL import Image, ImageEnhance

    with Image.open(source) as image:
        result = ImageEnhance.Brightness(image).enhance(1 + FACTORS["brightness"] / 100)
    result = ImageEnhance.Contrast(result).enhance(1 + FACTORS["contrast"] / 50)
    result = ImageEnhance.Sharpness(result).enhance(1 + FACTORS["sharpness"] / 50)
    result.save(target, quality=QUALITY)


def vips(source: Path, target: Path) -> None:
    """Adjust one file by pyvips, which streams an image through its operations."""
    import pyvips

    pyvips.cache_set_max(0)  # each image is seen once
    k = round(256 * TERMS.neighbour)
    kernel = pyvips.Image.new_from_list([[0, -k, 0], [-k, 256 + 4 * k, -k], [0, -k, 0]], scale=256)
    image = pyvips.Image.new_from_file(str(source), access="sequential")
    image = image.linear(TERMS.slope, TERMS.offset, uchar=True)
    image = image.conv(kernel, precision="integer")
    options: dict[str, Any] = {"Q": QUALITY, "subsample_mode": "on"}
    image.write_to_file(str(target), **({} if target.suffix == ".png" else options))


def codec(source: Path, target: Path) -> None:
    """Decode into a kept buffer by libjpeg-turbo and encode; no pixel changes in between.

    Subsampling and quality are those that imgbatch writes.
    """
    import simplejpeg

    data = source.read_bytes()
    height, width, _, subsampling = simplejpeg.decode_jpeg_header(data)
    samples = height * width * 3
    if _KEPT[0].size < samples:
        _KEPT[0] = np.empty(samples, np.uint8)
    pixels = _KEPT[0][:samples].reshape(height, width, 3)
    simplejpeg.decode_jpeg(data, "RGB", buffer=pixels)
    kept = subsampling if subsampling in ("444", "422", "420", "Gray") else "444"
    target.write_bytes(simplejpeg.encode_jpeg(pixels, QUALITY, "RGB", kept))


PEERS = {
    "opencv": (opencv, ()),
    "pillow": (pillow, ("PIL.Image", "PIL.ImageEnhance")),
    "vips": (vips, ()),
    "codec": (codec, ("simplejpeg",)),
}


def convert(peer: str, output: Path, source: Path) -> None:
    PEERS[peer][0](source, output / source.name)


def main(peer: str, folder: Path, output: Path) -> None:
    os.environ.setdefault("VIPS_CONCURRENCY", "1")  # read when libvips is loaded
    cv2.setNumThreads(1)  # there is a process for each core
    for module in PEERS[peer][1]:
        importlib.import_module(module)
    output.mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.imap_unordered(partial(convert, peer, output), sorted(folder.iterdir())):
            pass


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
