"""The codecs against OpenCV's and libpng's, the pipeline against its parts and the paper's design.

Ratios come from `paired`, contenders taking turns; they stand in each benchmark's `extra_info`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from bench.baseline import messages, server
from bench.baseline.operation import FACTORS, QUALITY
from bench.datasets.photographs import photograph
from bench.harness.ratios import paired
from bench.suites import frames_of, image_of
from imgbatch.adjustment import Adjustment
from imgbatch.images.buffers import Buffers
from imgbatch.images.formats import encode, inspect
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import DamagedPolicy, Encoding, PngLevel, Recipe
from imgbatch_kernels import adjust

Call = Callable[[], object]


@cache
def picture(name: str) -> np.ndarray:
    """Return an RGB picture: a photograph of 8 megapixels, a drawing, or a screen's text."""
    if name == "photograph":
        return np.ascontiguousarray(photograph(np.random.default_rng(4), 3264, 2448, 2.0))
    if name == "clean photograph":
        return np.ascontiguousarray(photograph(np.random.default_rng(5), 3264, 2448, 0.5))
    canvas = np.full((1600, 2400, 3), 250, np.uint8)
    for k in range(80):
        x, y = (k * 137) % 2200, (k * 211) % 1500
        colour = ((k * 37) % 256, (k * 91) % 256, (k * 53) % 256)
        if name == "drawing":
            cv2.rectangle(canvas, (x, y), (x + 260, y + 90), colour, -1)
            cv2.circle(canvas, (y, x % 1500), 70, colour, 5, cv2.LINE_AA)
        else:
            text = "The quick brown fox jumps over the lazy dog 0123456789 " * 3
            cv2.putText(canvas, text, (8, 20 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20,) * 3, 1)
    return canvas


def compared(
    benchmark: Any, group: str, ours: Call, theirs: Call, rounds: int = 9, is_cost: bool = False
) -> None:
    """Time ours, and how many times as fast as theirs it is, or as long as its parts it takes."""
    cv2.setNumThreads(1)
    benchmark.group = group
    benchmark(ours)
    name, pair = "times as fast", (theirs, ours)
    if is_cost:
        name, pair = "pipeline / parts", (ours, theirs)
    benchmark.extra_info[name] = paired(*pair, rounds, 1).as_dict()


@pytest.mark.parametrize("name", ["photograph", "clean photograph", "drawing", "text"])
@pytest.mark.parametrize("level", PngLevel)
def test_png_encoding(benchmark: Any, name: str, level: PngLevel) -> None:
    """Fast against OpenCV's default; small against libpng's level 6."""
    image = picture(name)
    options = [] if level is PngLevel.FAST else [cv2.IMWRITE_PNG_COMPRESSION, 6]
    theirs = partial(cv2.imencode, ".png", image, options)
    source = inspect(memoryview(theirs()[1].tobytes()), Limits())
    ours = partial(encode, image, source, Encoding(png_level=level), Buffers())
    compared(benchmark, "png", ours, theirs, 9 if level is PngLevel.FAST else 4)
    size_bytes = sum(map(len, ours().parts))
    benchmark.extra_info["size ratio"] = round(size_bytes / len(theirs()[1]), 3)


def test_jpeg_decoding_into_kept_memory(benchmark: Any) -> None:
    """Against `cv2.imdecode`, which allocates."""
    file = cv2.imencode(".jpg", picture("photograph"), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    source = inspect(memoryview(file.tobytes()), Limits())
    decode = partial(source.decode, Buffers(), DamagedPolicy.STRICT)
    compared(benchmark, "jpeg", decode, partial(cv2.imdecode, file, cv2.IMREAD_COLOR_RGB))


STYLES: dict[str, list[int]] = {
    "plain": [],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
}


@pytest.mark.parametrize("style", STYLES)
def test_jpeg_pipeline_against_its_parts(benchmark: Any, style: str) -> None:
    """`Pipeline.run` against decoding, kernel and encoding alone, in the same style."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 90, *STYLES[style]]
    file = cv2.imencode(".jpg", picture("photograph"), options)[1].tobytes()
    decoded = np.empty_like(picture("photograph"))
    compare_with_parts(benchmark, file, lambda: simplejpeg.decode_jpeg(file, buffer=decoded))


def test_png_pipeline_against_its_parts(benchmark: Any) -> None:
    """`Pipeline.run` against `cv2.imdecode`, kernel and our encoder alone."""
    file = cv2.imencode(".png", picture("photograph"))[1]
    decode = partial(cv2.imdecode, file, cv2.IMREAD_COLOR_RGB)
    compare_with_parts(benchmark, file.tobytes(), decode)


def compare_with_parts(benchmark: Any, file: bytes, decode: Callable[[], np.ndarray]) -> None:
    source, buffers = inspect(memoryview(file), Limits()), Buffers()
    adjusted = np.empty_like(picture("photograph"))

    def parts() -> None:
        adjust(decode(), **FACTORS, out=adjusted)
        encode(adjusted, source, Encoding(), buffers)

    run = partial(Pipeline().run, file, Recipe(Adjustment(**FACTORS)))
    compared(benchmark, "pipeline", run, parts, is_cost=True)


def test_the_way_of_one_photograph_against_the_papers_design(benchmark: Any) -> None:
    """All that client and server do to one photograph, between them no broker."""
    file = cv2.imencode(".jpg", picture("photograph"), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    data, pipeline = file.tobytes(), Pipeline()
    recipe = Recipe(Adjustment(**FACTORS), Encoding(quality=QUALITY))
    fields = {"client": "client", "name": "photograph", "factors": list(FACTORS.values())}

    def ours() -> None:
        image_of(list(frames_of(pipeline.run(image_of(list(frames_of(data))), recipe).data)))

    def papers() -> None:
        body = messages.packed(fields, cv2.imdecode(file, cv2.IMREAD_COLOR))
        _, image = messages.unpacked(server.processed(body, "machine")[1])
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])

    compared(benchmark, "paper's design", ours, papers)
