"""How large each file of a stand-in is: pure arithmetic, so that its figures are soon tested."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

TITLES = {
    "tokyo": "Tokyo",
    "crops": "Crops",
    "crops-x10": "ten times Crops",
    "tokyo-png": "Tokyo as PNG",
    "crops-png": "Crops as PNG",
    "large": "40 JPEGs of 12 megapixels",
    "small": "400 JPEGs of 0.5 megapixels",
    "small-x10": "4,000 JPEGs of 0.5 megapixels",
    "large-png": "10 PNGs of 8 megapixels",
}
LARGE_FILE_BYTES = 5_000_000
"""Above this the paper's system refuses a file."""

# A 3-channel matrix of 30 megapixels is 120 MB in base64; RabbitMQ 3.x refuses 128 MiB. A file that
# the paper's system is meant to take must therefore hold fewer pixels than that.
_MOST_PIXELS = {"small": 28_000_000, "large": 36_000_000}


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one of the paper's sets of JPEGs, in decimal bytes."""

    name: str
    count: int
    smallest_bytes: int
    largest_bytes: int
    total_bytes: int
    large_count: int
    bits_per_pixel: float
    seed: int


TOKYO = Figures("tokyo", 55, 367_000, 12_900_000, 134_200_000, 6, 1.5, seed=2023)
CROPS = Figures("crops", 773, 2_900, 1_800_000, 76_800_000, 0, 1.7, seed=773)
"""1.6 bits a pixel is what makes the paper's messages 20 times as long as the file: 24 bits of
pixels, and a third more for base64, for each 1.6 bits of JPEG."""


@dataclass(frozen=True, slots=True)
class Target:
    """One file to be made: its size as a JPEG, and about how many pixels that should take."""

    index: int
    size_bytes: int
    pixels: int


def targets(figures: Figures) -> list[Target]:
    """Return the files of a set, in an order that mixes large and small."""
    large = np.geomspace(1.1 * LARGE_FILE_BYTES, figures.largest_bytes, figures.large_count)
    largest_small = int(0.97 * LARGE_FILE_BYTES) if figures.large_count else figures.largest_bytes
    count, total = figures.count - figures.large_count, figures.total_bytes - int(large.sum())
    small = _fitted(count, figures.smallest_bytes, largest_small, total)
    rng = np.random.default_rng(figures.seed)
    sizes = rng.permutation(np.concatenate([small, large])).astype(int)
    spread = figures.bits_per_pixel * np.exp(rng.normal(0.0, 0.22, len(sizes)))
    most = [_MOST_PIXELS["large" if size > LARGE_FILE_BYTES else "small"] for size in sizes]
    return [
        Target(index, int(size), min(most[index], int(8 * int(size) / spread[index])))
        for index, size in enumerate(sizes)
    ]


def _fitted(count: int, smallest: int, largest: int, total: int) -> np.ndarray:
    """Return `count` quantiles of a log-normal with two widths, its median bisected for `total`."""
    quantiles = [NormalDist().inv_cdf((rank + 0.5) / count) for rank in range(count)]
    scores = np.array(quantiles) / NormalDist().inv_cdf(1 - 0.5 / count)

    def sizes(median: float) -> np.ndarray:
        below, above = median * (median / smallest) ** scores, median * (largest / median) ** scores
        return np.where(scores < 0, below, above)

    low, high = float(smallest), float(largest)
    for _ in range(60):
        median = (low + high) / 2
        low, high = (low, median) if sizes(median).sum() > total else (median, high)
    return sizes((low + high) / 2)


def one_in_ten(figures: Figures) -> list[Target]:
    """Return the targets whose pictures the PNG set holds as well."""
    return sorted(targets(figures), key=lambda target: target.pixels)[5::10]


def alike(count: int, pixels: int) -> list[Target]:
    """Return targets that all have about so many pixels, whatever their size in bytes."""
    return [Target(index, 0, pixels) for index in range(count)]
