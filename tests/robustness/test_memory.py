"""Memory that is not there is the failure of one image, with a code; the process goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support import heifs, images, tiffs

ROOT = Path(__file__).parents[2]

PROGRAM = """
import json, resource, sys
from pathlib import Path
import cv2
from PIL import BmpImagePlugin, ImageCms, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin
from imgbatch.adjustment import Adjustment
from imgbatch.errors import ImageError
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, OutputFormat, Recipe

large, alike, small = sys.argv[1:]
recipe = Recipe(Adjustment(10, 20, 30))
pipeline = Pipeline()
large, small = Path(large).read_bytes(), Path(small).read_bytes()
Pipeline().run(small, Recipe(encoding=Encoding(OutputFormat.JPEG)))
Pipeline().run(Path(alike).read_bytes(), recipe)
expected = pipeline.run(small, recipe).data
pages = int(Path("/proc/self/statm").read_text().split()[0])
endings = set()
for spare_megabytes in range(4, 404, 25):
    most = pages * resource.getpagesize() + spare_megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        Pipeline().run(large, recipe)
        endings.add("written")
    except ImageError as error:
        endings.add(error.code)
        print(spare_megabytes, error, file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert pipeline.run(small, recipe).data == expected
print(json.dumps(sorted(endings)))
"""

KINDS = {
    "jpeg": lambda rgb, _: images.jpeg(rgb),
    "jpeg progressive": lambda rgb, _: images.jpeg(rgb, progressive=True),
    "jpeg cmyk": lambda rgb, _: images.pillow_file(Image.fromarray(rgb).convert("CMYK"), "JPEG"),
    "png": lambda rgb, _: images.png_of(rgb),
    "png palette": lambda rgb, _: images.pillow_file(Image.fromarray(rgb).convert("P"), "PNG"),
    "png 16": lambda _, deep: images.png_of(deep),
    "tiff": lambda rgb, _: images.tiff(rgb, compression="tiff_lzw"),
    "tiff 16": lambda _, deep: tiffs.tiff(deep, tiffs.Layout(compression=8, rows_per_strip=64)),
    "tiff pages": lambda rgb, _: images.pillow_file(
        Image.fromarray(rgb), "TIFF", save_all=True, append_images=[Image.fromarray(rgb)]
    ),
    "webp": lambda rgb, _: images.webp(rgb, method=0),
    "webp lossless": lambda rgb, _: images.webp(rgb, lossless=True, method=0, quality=0),
    "webp animated": lambda rgb, _: images.moving(rgb, "WEBP", lossless=True, method=0),
    "gif animated": lambda rgb, _: images.moving(rgb, "GIF"),
    "png animated": lambda rgb, _: images.moving(rgb, "PNG"),
    "avif": lambda rgb, _: images.avif(rgb, speed=10),
    "avif animated": lambda rgb, _: images.moving(rgb[: len(rgb) // 2], "AVIF", speed=10),
    "heif": lambda rgb, _: heifs.grid(len(rgb) // 70 + 1, rows=len(rgb) // 70 + 1),
    "bmp": lambda rgb, _: images.bmp(rgb),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_too_little_memory_is_that_images_failure(kind, tmp_path):
    for name, height, width in (("large", 2000, 3000), ("alike", 20, 30)):
        black = np.zeros((height, width, 4), np.uint8)
        (tmp_path / name).write_bytes(KINDS[kind](black[:, :, :3].copy(), black.astype(np.uint16)))
    (tmp_path / "small").write_bytes(images.png_of(images.pixels()))
    files = [str(tmp_path / name) for name in ("large", "alike", "small")]
    command = [sys.executable, "-c", PROGRAM, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    # Of tiles that are small enough for the tests, none is in want of memory for long.
    always = ["written"] if kind == "heif" else ["out-of-memory", "written"]
    assert json.loads(done.stdout)[-len(always) :] == always, done.stderr
