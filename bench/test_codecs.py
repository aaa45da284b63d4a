"""The codecs against OpenCV's and libpng's, the pipeline against its parts and the paper's design.

Ratios come from `paired`, contenders taking turns; they stand in each benchmark's `extra_info`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from imgbatch.images.jpeg_style import style_of

from bench.baseline import messages, server
from bench.baseline.operation import FACTORS, QUALITY
from bench.datasets.photographs import photograph
from bench.harness.ratios import paired
from bench.suites import frames_of, image_of
from imgbatch.adjustment import Adjustment
from imgbatch.images.buffers import Buffers
from imgbatch.images.jpeg.decode import read as read_jpeg
from imgbatch.images.jpeg.encode import encode_style
from imgbatch.images.limits import Limits
from imgbatch.images.png.encode import compress_pixels
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import DamagedPolicy, Encoding, PngLevel, Recipe
from imgbatch_kernels import adjust

ROUNDS = 9


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


@pytest.mark.parametrize("name", ["photograph", "clean photograph", "drawing", "text"])
@pytest.mark.parametrize("level", PngLevel)
def test_png_encoding(benchmark: Any, name: str, level: PngLevel) -> None:
    """Fast against OpenCV's default; small against libpng's level 6."""
    cv2.setNumThreads(1)
    image, buffers = picture(name), Buffers()
    options = [] if level is PngLevel.FAST else [cv2.IMWRITE_PNG_COMPRESSION, 6]
    benchmark.group = "png"
    deflated = benchmark(compress_pixels, image, level, buffers)
    theirs = cv2.imencode(".png", image, options)[1]
    rounds = ROUNDS if level is PngLevel.FAST else 4
    faster = paired(
        lambda: cv2.imencode(".png", image, options),
        lambda: compress_pixels(image, level, buffers),
        rounds=rounds,
        warm_up=1,
    )
    benchmark.extra_info["times as fast"] = faster.as_dict()
    benchmark.extra_info["size ratio"] = round(len(deflated) / len(theirs), 3)


def test_jpeg_decoding_into_kept_memory(benchmark: Any) -> None:
    """Against `cv2.imdecode`, which allocates."""
    cv2.setNumThreads(1)
    file = cv2.imencode(".jpg", picture("photograph"), [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    buffers, source = Buffers(), read_jpeg(memoryview(file), Limits())
    benchmark.group = "jpeg"
    benchmark(source.decode, buffers, DamagedPolicy.STRICT)
    faster = paired(
        lambda: cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB),
        lambda: source.decode(buffers, DamagedPolicy.STRICT),
        rounds=ROUNDS,
    )
    benchmark.extra_info["times as fast"] = faster.as_dict()


STYLES: dict[str, list[int]] = {
    "plain": [],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
}


@pytest.mark.parametrize("style_name", STYLES)
def test_jpeg_pipeline_against_its_parts(benchmark: Any, style_name: str) -> None:
    """`Pipeline.run` against decoding, kernel and encoding alone, in the same style."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 90, *STYLES[style_name]]
    file = cv2.imencode(".jpg", picture("photograph"), options)[1].tobytes()
    structure = read_jpeg(memoryview(file), Limits()).structure
    style, _ = style_of(structure, Encoding(), is_rgb=False)
    decoded, adjusted = np.empty_like(picture("photograph")), np.empty_like(picture("photograph"))

    def parts() -> None:
        simplejpeg.decode_jpeg(file, buffer=decoded)
        adjust(decoded, **FACTORS, out=adjusted)
        encode_style(adjusted, style)

    compare_with_parts(benchmark, file, parts)


def test_png_pipeline_against_its_parts(benchmark: Any) -> None:
    """`Pipeline.run` against `cv2.imdecode`, kernel and our encoder alone."""
    cv2.setNumThreads(1)
    file = cv2.imencode(".png", picture("photograph"))[1].tobytes()
    buffers, adjusted = Buffers(), np.empty_like(picture("photograph"))

    def parts() -> None:
        decoded = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB)
        adjust(decoded, **FACTORS, out=adjusted)
        compress_pixels(adjusted, PngLevel.FAST, buffers)

    compare_with_parts(benchmark, file, parts)


def compare_with_parts(benchmark: Any, file: bytes, parts: Any) -> None:
    """Measure the pipeline, and how many times as long as its parts it takes."""
    pipeline, recipe = Pipeline(), Recipe(Adjustment(**FACTORS))
    benchmark.group = "pipeline"
    benchmark(pipeline.run, file, recipe)
    ratio = paired(lambda: pipeline.run(file, recipe), parts, rounds=ROUNDS)
    benchmark.extra_info["pipeline / parts"] = ratio.as_dict()


def test_the_way_of_one_photograph_against_the_papers_design(benchmark: Any) -> None:
    """All that client and server do to one photograph, between them no broker."""
    cv2.setNumThreads(1)
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

    benchmark.group = "paper's design"
    benchmark(ours)
    benchmark.extra_info["times as fast"] = paired(papers, ours, rounds=ROUNDS).as_dict()
