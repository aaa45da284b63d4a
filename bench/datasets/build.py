"""Making the files of a set, once, and keeping them outside the repository."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from bench.datasets.photographs import photograph
from bench.datasets.sizes import CROPS, TOKYO, Figures, Target, one_in_ten, targets

EDITIONS = {"tokyo": 1, "crops": 1, "tokyo-png": 2, "crops-png": 2}
"""Part of a folder's name: raised whenever the pictures of a set change."""

_FIGURES = {"tokyo": TOKYO, "crops": CROPS}
_ASPECTS = (4 / 3, 3 / 2, 16 / 9, 3 / 4, 1.0)
_SUBSAMPLINGS = {
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420: 0.7,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422: 0.2,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444: 0.1,
}
_SPARE_ROWS = 1.4  # made in addition, so that a picture can grow until its file is large enough


def cache_folder() -> Path:
    """Return where sets are kept: ``IMGBATCH_BENCH_CACHE``, or below the XDG cache folder."""
    chosen = os.environ.get("IMGBATCH_BENCH_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "imgbatch-bench"


def folder_of(name: str) -> Path:
    """Return the folder of a set, making its files first if they are not there."""
    folder = cache_folder() / f"{name}-{EDITIONS[name]}"
    if not folder.is_dir():
        _make(name, folder)
    return folder


def _make(name: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder.parent))
    figures = _FIGURES[name.removesuffix("-png")]
    wanted = targets(figures)
    if name.endswith("-png"):
        _in_processes(partial(_write_png, figures, unfinished), list(one_in_ten(wanted)))
    else:
        _in_processes(partial(_write_jpeg, figures, unfinished), wanted)
    try:
        unfinished.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(unfinished)


def _in_processes(write: Callable[[Target], None], wanted: Sequence[Target]) -> None:
    largest_first = sorted(wanted, key=lambda target: -target.pixels)
    with multiprocessing.get_context("spawn").Pool() as pool:
        for _ in pool.imap_unordered(write, largest_first):
            pass


def _write_jpeg(figures: Figures, folder: Path, target: Target) -> None:
    cv2.setNumThreads(1)
    path = folder / f"{figures.name}-{target.index:04d}.jpg"
    path.write_bytes(jpeg(figures, target))


def _write_png(figures: Figures, folder: Path, target: Target) -> None:
    """Write a PNG as most programs do: a filter chosen for each row, zlib at level 6.

    OpenCV would filter every row alike, which no decoder but its own sees often.
    """
    from PIL import Image

    cv2.setNumThreads(1)
    picture, height = _picture(figures, target)
    rows = np.ascontiguousarray(picture[:height, :, ::-1])
    path = folder / f"{figures.name}-{target.index:04d}.png"
    Image.fromarray(rows).save(path, compress_level=6)


def jpeg(figures: Figures, target: Target) -> bytes:
    """Return a JPEG of nearly the target's size.

    The highest quality that does not pass the size is taken, then rows are added to meet it.
    """
    picture, height = _picture(figures, target)
    rng = np.random.default_rng([figures.seed, target.index, 1])
    subsampling = int(rng.choice(list(_SUBSAMPLINGS), p=list(_SUBSAMPLINGS.values())))
    encode = partial(_encode, picture, subsampling)
    wanted = target.size_bytes - len(_exif(figures))
    quality = _highest_quality(lambda quality: len(encode(height, quality)) <= wanted)
    best = _with_rows(partial(encode, quality=quality), height, len(picture), wanted)
    return best[:2] + _exif(figures) + best[2:]


def _picture(figures: Figures, target: Target) -> tuple[np.ndarray, int]:
    """Return a picture with rows to spare, and the number of rows to begin with."""
    rng = np.random.default_rng([figures.seed, target.index])
    aspect = float(rng.choice(_ASPECTS))
    height = max(24, round((target.pixels / aspect) ** 0.5))
    width = max(24, round(target.pixels / height))
    return photograph(rng, width, int(height * _SPARE_ROWS), rng.uniform(1.0, 3.0)), height


def _encode(picture: np.ndarray, subsampling: int, height: int, quality: int) -> bytes:
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, subsampling),
    ]
    return cv2.imencode(".jpg", picture[:height], options)[1].tobytes()


def _highest_quality(fits: Callable[[int], bool]) -> int:
    low, high = 70, 97
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _with_rows(
    encode: Callable[[int], bytes], height: int, most_rows: int, wanted_bytes: int
) -> bytes:
    """Return the encoding nearest to a size among a few heights, each corrected by the last."""
    tried: list[bytes] = []
    for _ in range(5):
        tried.append(encode(height))
        if abs(len(tried[-1]) - wanted_bytes) < 0.002 * wanted_bytes:
            break
        height = min(most_rows, max(8, round(height * wanted_bytes / len(tried[-1]))))
    return min(tried, key=lambda data: abs(len(data) - wanted_bytes))


def _exif(figures: Figures) -> bytes:
    """Return the APP1 segment that a camera writes; none for crops, which come from editors."""
    if figures is not TOKYO:
        return b""
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "imgbatch", "benchmark stand-in"
    exif[0x0112] = 1
    exif[0x0132] = "2023:04:01 12:00:00"
    body = exif.tobytes()
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
