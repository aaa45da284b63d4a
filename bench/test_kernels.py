"""The kernels, one thread unless said otherwise, against OpenCV with its outputs allocated before.

``pytest bench/test_kernels.py`` times each case by itself and adds, in `extra_info`, how many times
as fast it is as each rival, measured in turns. ``python -m bench.test_kernels`` measures only those
ratios, and prints the table of docs/kernels.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.baseline.operation import FACTORS, TERMS
from bench.datasets.photographs import photograph
from bench.harness.ratios import Ratio, paired
from imgbatch_kernels import adjust, reference, warm_up

Image = NDArray[Any]
Use = Callable[[Image, Image], object]
"""Takes an image and an array of its shape for the result."""

SIZES = {"12 megapixels": (3000, 4000), "0.1 megapixels": (258, 387)}
LEVELS = {"brightness": 10, "contrast": 20}
KERNEL = TERMS.kernel
TABLE = np.arange(256, dtype=np.uint8)


@cache
def picture(height: int, width: int, channels: int, dtype: str) -> Image:
    image = photograph(np.random.default_rng(7), width, height, 2.0)
    if channels == 1:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    elif channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    return image.astype(np.uint16) * 257 if dtype == "uint16" else image


@cache
def kept(_name: str, *shape: int) -> Image:
    """Return memory for what stands between two steps."""
    return np.empty(shape, np.uint8)


def ours(threads: int = 1, **factors: int) -> Use:
    return lambda image, out: adjust(image, **factors, out=out, threads=threads)


def in_place(_: Image, out: Image) -> None:
    adjust(out, **FACTORS, out=out)


def add_weighted(image: Image, out: Image) -> None:
    cv2.addWeighted(image, TERMS.slope, image, 0.0, TERMS.offset, dst=out)


def filter_2d(image: Image, out: Image) -> None:
    cv2.filter2D(image, -1, KERNEL, dst=out)


def two_steps(image: Image, out: Image) -> None:
    levelled = kept("levelled", *image.shape)
    add_weighted(image, levelled)
    filter_2d(levelled, out)


def keeping_alpha(image: Image, out: Image) -> None:
    """Take three of four channels out and put them back."""
    colours, sharp = (kept(name, *image.shape[:2], 3) for name in ("colours", "sharp"))
    cv2.mixChannels([image], [colours], [0, 0, 1, 1, 2, 2])
    two_steps(colours, sharp)
    cv2.mixChannels([sharp, image], [out], [0, 0, 1, 1, 2, 2, 6, 3])


def in_float64(image: Image, _: Image) -> None:
    reference.adjust(image, **FACTORS)


def look_up(image: Image, out: Image) -> None:
    """Adjust brightness and contrast by a table, which takes no time to make."""
    cv2.LUT(image, TABLE, dst=out)


def copy(image: Image, out: Image) -> None:
    np.copyto(out, image)


@dataclass(frozen=True, slots=True)
class Case:
    """One use of the kernels, its rivals, and how many times as fast as the first it must be."""

    name: str
    ours: Use
    rivals: dict[str, Use]
    floor: float | None = None
    channels: int = 3
    dtype: str = "uint8"
    sizes: tuple[str, ...] = tuple(SIZES)

    def call(self, use: Use, size: str) -> Callable[[], object]:
        image = picture(*SIZES[size], self.channels, self.dtype)
        out = image.copy()
        return lambda: use(image, out)


LARGE = ("12 megapixels",)
STEPS: dict[str, Use] = {"addWeighted + filter2D": two_steps}
COPY: dict[str, Use] = {"np.copyto": copy}
TABLES: dict[str, Use] = {"addWeighted": add_weighted, "cv2.LUT": look_up}
ALL = ours(**FACTORS)
CASES = [
    Case("BGR, all three", ALL, STEPS | COPY, 3.0),
    Case("BGR, all three, in place", in_place, STEPS | COPY),
    Case("BGR, brightness and contrast", ours(**LEVELS), TABLES, 1.5),
    Case("BGR, sharpness", ours(sharpness=40), {"filter2D": filter_2d}, 2.5),
    Case("grey, all three", ALL, STEPS, 3.0, 1),
    Case("BGRA, all three, alpha kept", ALL, {"three channels and merge": keeping_alpha}, 2.5, 4),
    Case(
        "BGR of 16 bits, all three",
        *(ALL, {"the float64 reference": in_float64}, 5.0, 3, "uint16", LARGE),
    ),
    Case(
        "BGR, all three, 2 threads",
        *(ours(**FACTORS, threads=2), {"1 thread": ALL}, 1.7, 3, "uint8", LARGE),
    ),
    Case("BGR, all factors neutral", ours(), COPY),
]


def compare(case: Case, size: str) -> dict[str, Ratio]:
    """Measure how many times as fast a case is as each of its rivals."""
    cv2.setNumThreads(1)
    rounds = 61 if size in LARGE else 401
    return {
        name: paired(
            case.call(rival, size),
            case.call(case.ours, size),
            rounds=7 if rival is in_float64 else rounds,
        )
        for name, rival in case.rivals.items()
    }


@pytest.mark.parametrize(
    ("case", "size"),
    [pytest.param(case, size, id=f"{case.name}, {size}") for case in CASES for size in case.sizes],
)
def test_kernels(benchmark: Any, case: Case, size: str) -> None:
    warm_up()
    benchmark.group = f"kernels, {size}"
    benchmark(case.call(case.ours, size))
    for name, ratio in compare(case, size).items():
        benchmark.extra_info[f"times as fast as {name}"] = ratio.as_dict()


def test_the_overhead_of_a_call(benchmark: Any) -> None:
    """An image of one pixel: all of its time is the call."""
    warm_up()
    image, out = np.full((1, 1, 3), 90, np.uint8), np.empty((1, 1, 3), np.uint8)
    benchmark.group = "kernels, overhead"
    benchmark(lambda: ALL(image, out))


def main() -> None:
    """Print the table of ratios."""
    warm_up()
    print("| case | against | " + " | ".join(SIZES) + " | floor |")
    print("| --- | --- | " + "--- | " * len(SIZES) + "--- |")
    for case in CASES:
        measured = {size: compare(case, size) for size in case.sizes}
        for rank, name in enumerate(case.rivals):
            cells = [str(measured[size][name]) if size in measured else "" for size in SIZES]
            floor = f"{case.floor:g}" if case.floor and not rank else ""
            print(f"| {case.name} | {name} | " + " | ".join(cells) + f" | {floor} |", flush=True)


if __name__ == "__main__":
    main()
