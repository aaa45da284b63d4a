"""Making the files of a set, once, and keeping them outside the repository."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from bench.datasets.photographs import photograph
from bench.datasets.sizes import CROPS, TOKYO, Figures, Target, alike, one_in_ten, targets

_ASPECTS = (4 / 3, 3 / 2, 16 / 9, 3 / 4, 1.0)
_SUBSAMPLINGS = {
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420: 0.7,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422: 0.2,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444: 0.1,
}
_SPARE_ROWS = 1.4  # made in addition, so that a picture can grow until its file is large enough


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The files of a set and what writes each of them.

    `edition` is part of the folder's name, and raised whenever the pictures change.
    """

    targets: Callable[[], Sequence[Target]]
    write: Callable[[Path, Target], None]
    edition: int = 1


def folder_of(name: str) -> Path:
    """Return the folder of a set, making its files first if they are not there.

    In ``IMGBATCH_BENCH_CACHE``, or below the XDG cache folder.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("IMGBATCH_BENCH_CACHE") or Path(base) / "imgbatch-bench")
    is_ten_times = name in TEN_TIMES
    folder = cache / (f"{name}-1" if is_ten_times else f"{name}-{SETS[name].edition}")
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache))
        if is_ten_times:
            _link_ten_times(folder_of(TEN_TIMES[name]), unfinished)
        else:
            _write_all(SETS[name], unfinished)
        try:
            unfinished.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return folder


def sizes_bytes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.iterdir()]


def _write_all(made: ImageSet, folder: Path) -> None:
    largest_first = sorted(made.targets(), key=lambda target: -target.pixels)
    with multiprocessing.get_context("spawn").Pool() as pool:
        for _ in pool.imap_unordered(partial(made.write, folder), largest_first):
            pass


def _link_ten_times(source: Path, folder: Path) -> None:
    for path in source.iterdir():
        for number in range(10):
            os.link(path, folder / f"{path.stem}-{number}{path.suffix}")


def write_png(name: str, seed: int, folder: Path, target: Target) -> None:
    """Write a PNG as most programs do: a filter chosen for each row, zlib at level 6.

    OpenCV would filter every row alike, which no decoder but its own sees often.
    """
    from PIL import Image

    picture, height = _picture(seed, target)
    rows = np.ascontiguousarray(picture[:height, :, ::-1])
    Image.fromarray(rows).save(folder / f"{name}-{target.index:04d}.png", compress_level=6)


def write_jpeg(name: str, seed: int, folder: Path, target: Target) -> None:
    """Write a JPEG of a target's pixels, whatever its size in bytes."""
    picture, height = _picture(seed, target)
    rng = np.random.default_rng([seed, target.index, 1])
    data = _encode(picture, _subsampling(rng), height, int(rng.integers(80, 96)))
    (folder / f"{name}-{target.index:04d}.jpg").write_bytes(data)


def write_sized_jpeg(figures: Figures, folder: Path, target: Target) -> None:
    """Write a JPEG of nearly the target's size in bytes.

    The highest quality that does not pass the size is taken, then rows are added to meet it.
    """
    picture, height = _picture(figures.seed, target)
    subsampling = _subsampling(np.random.default_rng([figures.seed, target.index, 1]))
    encode = partial(_encode, picture, subsampling)
    low, high = 70, 97
    while low < high:
        quality = (low + high + 1) // 2
        fits = len(encode(height, quality)) <= target.size_bytes
        low, high = (quality, high) if fits else (low, quality - 1)
    best = _with_rows(partial(encode, quality=low), height, len(picture), target.size_bytes)
    (folder / f"{figures.name}-{target.index:04d}.jpg").write_bytes(best)


def _picture(seed: int, target: Target) -> tuple[np.ndarray, int]:
    """Return a picture with rows to spare, and the number of rows to begin with."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, target.index])
    aspect = float(rng.choice(_ASPECTS))
    height = max(24, round((target.pixels / aspect) ** 0.5))
    width = max(24, round(target.pixels / height))
    return photograph(rng, width, int(height * _SPARE_ROWS), rng.uniform(1.0, 3.0)), height


def _subsampling(rng: np.random.Generator) -> int:
    return int(rng.choice(list(_SUBSAMPLINGS), p=list(_SUBSAMPLINGS.values())))


def _encode(picture: np.ndarray, subsampling: int, height: int, quality: int) -> bytes:
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR, subsampling
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling]
    return cv2.imencode(".jpg", picture[:height], options)[1].tobytes()


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


SETS = {
    "tokyo": ImageSet(partial(targets, TOKYO), partial(write_sized_jpeg, TOKYO)),
    "crops": ImageSet(partial(targets, CROPS), partial(write_sized_jpeg, CROPS)),
    "tokyo-png": ImageSet(partial(one_in_ten, TOKYO), partial(write_png, "tokyo", TOKYO.seed), 2),
    "crops-png": ImageSet(partial(one_in_ten, CROPS), partial(write_png, "crops", CROPS.seed), 2),
    "large": ImageSet(partial(alike, 40, 12_000_000), partial(write_jpeg, "large", 12)),
    "small": ImageSet(partial(alike, 400, 500_000), partial(write_jpeg, "small", 5)),
    "large-png": ImageSet(partial(alike, 10, 8_000_000), partial(write_png, "large", 8)),
}
TEN_TIMES = {"crops-x10": "crops", "small-x10": "small"}
"""Sets that hold each file of another under ten names."""
