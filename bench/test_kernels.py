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

from bench.paired import Ratio, paired
from imgbatch_kernels import adjust, reference, warm_up
from imgbatch_kernels.coefficients import UNIT, coefficients

BOTH = {"brightness": 10, "contrast": 20}
ALL = {**BOTH, "sharpness": 40}
SIZES = {"12 megapixels": (3000, 4000), "0.1 megapixels": (258, 387)}

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """One use of the kernels and those it is measured against."""

    name: str
    ours: Callable[[tuple[int, int]], Call]
    rivals: dict[str, Callable[[tuple[int, int]], Call]]
    floor: float = 0.0
    """How many times as fast as the first rival it must be on 12 megapixels."""
    sizes: tuple[str, ...] = tuple(SIZES)


@cache
def photograph(height: int, width: int, channels: int, dtype: str) -> NDArray[Any]:
    """Return an image with edges, smooth parts and noise, the same in every run."""
    random = np.random.default_rng(7)
    coarse = random.integers(0, 256, (height // 40 + 2, width // 40 + 2, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = cv2.add(image, random.integers(0, 12, image.shape, np.uint8))
    if channels == 1:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    elif channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    return image.astype(np.uint16) * 257 if dtype == "uint16" else image


def ours(
    factors: dict[str, int], channels: int = 3, dtype: str = "uint8", threads: int = 1
) -> Callable[[tuple[int, int]], Call]:
    """Return `adjust` with a given output."""

    def prepare(size: tuple[int, int]) -> Call:
        image = photograph(*size, channels, dtype)
        out = np.empty_like(image)
        return lambda: adjust(image, **factors, out=out, threads=threads)

    return prepare


def in_place(size: tuple[int, int]) -> Call:
    """Return `adjust` of an image into itself."""
    image = photograph(*size, 3, "uint8").copy()
    return lambda: adjust(image, **ALL, out=image)


def opencv(moves: bool, sharpens: bool, channels: int = 3) -> Callable[[tuple[int, int]], Call]:
    """Return the two steps of the reference, on colours, into arrays of their own."""
    steps = coefficients(**ALL, sample_bits=8)
    kernel = reference.sharpening_kernel(steps)

    def prepare(size: tuple[int, int]) -> Call:
        image = photograph(*size, channels, "uint8")
        moved, sharp = np.empty_like(image), np.empty_like(image)
        slope, offset = steps.slope / UNIT, steps.offset / UNIT

        def run() -> None:
            if moves:
                cv2.addWeighted(image, slope, image, 0.0, offset, dst=moved)
            if sharpens:
                cv2.filter2D(moved if moves else image, -1, kernel, dst=sharp)

        return run

    return prepare


def opencv_keeping_alpha(size: tuple[int, int]) -> Call:
    """Return the reference on three of four channels, taken out and put back."""
    image = photograph(*size, 4, "uint8")
    colours, sharp = np.empty((*size, 3), np.uint8), np.empty((*size, 3), np.uint8)
    merged = np.empty_like(image)
    steps = coefficients(**ALL, sample_bits=8)
    kernel = reference.sharpening_kernel(steps)
    out_of, into = [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2, 6, 3]

    def run() -> None:
        cv2.mixChannels([image], [colours], out_of)
        slope, offset = steps.slope / UNIT, steps.offset / UNIT
        cv2.addWeighted(colours, slope, colours, 0.0, offset, dst=colours)
        cv2.filter2D(colours, -1, kernel, dst=sharp)
        cv2.mixChannels([sharp, image], [merged], into)

    return run


def opencv_in_float64(size: tuple[int, int]) -> Call:
    """Return the reference of 16-bit images."""
    image = photograph(*size, 3, "uint16")
    return lambda: reference.adjust(image, **ALL)


def table_lookup(size: tuple[int, int]) -> Call:
    """Return `cv2.LUT`: brightness and contrast by a table, which takes no time to make."""
    image = photograph(*size, 3, "uint8")
    out, table = np.empty_like(image), np.arange(256, dtype=np.uint8)
    return lambda: cv2.LUT(image, table, dst=out)


def plain_copy(size: tuple[int, int]) -> Call:
    """Return a copy of the image: what memory alone takes."""
    image = photograph(*size, 3, "uint8")
    out = np.empty_like(image)
    return lambda: np.copyto(out, image)


LARGE_ONLY = ("12 megapixels",)
TWO_STEPS = "addWeighted + filter2D"
CASES = [
    Case(
        "BGR, all three",
        ours(ALL),
        {TWO_STEPS: opencv(True, True), "np.copyto": plain_copy},
        floor=3.0,
    ),
    Case(
        "BGR, all three, in place",
        in_place,
        {TWO_STEPS: opencv(True, True), "np.copyto": plain_copy},
    ),
    Case(
        "BGR, brightness and contrast",
        ours(BOTH),
        {"addWeighted": opencv(True, False), "cv2.LUT": table_lookup},
        floor=1.5,
    ),
    Case(
        "BGR, sharpness",
        ours({"sharpness": 40}),
        {"filter2D": opencv(False, True)},
        floor=2.5,
    ),
    Case("grey, all three", ours(ALL, 1), {TWO_STEPS: opencv(True, True, 1)}, floor=3.0),
    Case(
        "BGRA, all three, alpha kept",
        ours(ALL, 4),
        {"three channels and merge": opencv_keeping_alpha},
        floor=2.5,
    ),
    Case(
        "BGR of 16 bits, all three",
        ours(ALL, 3, "uint16"),
        {"the float64 reference": opencv_in_float64},
        floor=5.0,
        sizes=LARGE_ONLY,
    ),
    Case(
        "BGR, all three, 2 threads",
        ours(ALL, threads=2),
        {"1 thread": ours(ALL)},
        floor=1.7,
        sizes=LARGE_ONLY,
    ),
    Case("BGR, all factors neutral", ours({}), {"np.copyto": plain_copy}),
]


def compare(case: Case, size: str) -> dict[str, Ratio]:
    """Measure how many times as fast a case is as each of its rivals."""
    cv2.setNumThreads(1)
    rounds = 61 if SIZES[size][0] > 1000 else 401
    run = case.ours(SIZES[size])
    return {
        name: paired(rival(SIZES[size]), run, rounds=7 if "float64" in name else rounds)
        for name, rival in case.rivals.items()
    }


@pytest.mark.parametrize(
    ("case", "size"),
    [pytest.param(case, size, id=f"{case.name}, {size}") for case in CASES for size in case.sizes],
)
def test_kernels(benchmark: Any, case: Case, size: str) -> None:
    """Time a case, and compare it with its rivals in turns."""
    warm_up()
    benchmark.group = f"kernels, {size}"
    benchmark(case.ours(SIZES[size]))
    for name, ratio in compare(case, size).items():
        benchmark.extra_info[f"times as fast as {name}"] = ratio.as_dict()


def test_the_overhead_of_a_call(benchmark: Any) -> None:
    """Time an image of one pixel: all of it is the call."""
    warm_up()
    benchmark.group = "kernels, overhead"
    benchmark(ours(ALL)((1, 1)))


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
