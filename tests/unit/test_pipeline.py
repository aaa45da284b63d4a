from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from tests.support import images

from imgbatch import pipeline
from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, ImageError, LimitExceeded
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline, process
from imgbatch.recipe import Encoding, OutputFormat, PngLevel, Recipe
from imgbatch_kernels import reference

ADJUSTMENT = Adjustment(brightness=12, contrast=-20, sharpness=60)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pixels_are_adjusted_as_the_reference_does(channels, bits):
    image = images.pixels(channels=channels, bits=bits)
    written = process(images.png_of(image), ADJUSTMENT)
    expected = reference.adjust(image, brightness=12, contrast=-20, sharpness=60)
    assert written == process(images.png_of(expected.reshape(image.shape)), Adjustment())


@pytest.mark.parametrize(
    "file",
    [images.jpeg(), images.png_of(images.pixels()), images.tiff(), images.webp(), images.bmp()],
)
def test_the_same_bytes_come_out_whatever_was_processed_before(file):
    used = Pipeline()
    used.run(images.png_of(images.pixels(300, 200, 4, 16)), Recipe(ADJUSTMENT))
    used.run(images.jpeg(images.pixels(200, 300)), Recipe(ADJUSTMENT))
    first = used.run(file, Recipe(ADJUSTMENT))
    assert first == used.run(file, Recipe(ADJUSTMENT)) == Pipeline().run(file, Recipe(ADJUSTMENT))
    assert first.data == process(file, ADJUSTMENT)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken_and_none_is_changed(wrap):
    file = images.jpeg()
    data = wrap(file)
    assert process(data, ADJUSTMENT) == process(file, ADJUSTMENT)
    assert bytes(data) == file


def test_size_and_notes_are_told_each_note_once():
    interlaced = images.pillow_file(images.pixels(9, 5), "JPEG2000")
    with pytest.raises(ImageError):
        Pipeline().run(interlaced, Recipe())
    noted = images.chunk(b"teST", b"") * 3
    processed = Pipeline().run(images.png_of(images.pixels(9, 5), before=(noted,)), Recipe())
    assert (processed.width_pixels, processed.height_pixels) == (9, 5)
    assert processed.notes == ("metadata-dropped",)
    assert all(type(note) is str for note in processed.notes)


@pytest.mark.parametrize(("asked", "signature"), [("jpeg", b"\xff\xd8\xff"), ("png", b"\x89PNG")])
@pytest.mark.parametrize(
    "file",
    [images.jpeg(), images.png_of(images.pixels()), images.tiff(), images.webp(), images.bmp()],
)
def test_every_format_becomes_the_one_asked_for(file, asked, signature):
    written = process(file, ADJUSTMENT, encoding=Encoding(OutputFormat(asked)))
    assert written.startswith(signature)
    assert images.decoded(written).shape == images.pixels().shape


def test_limits_are_the_callers():
    with pytest.raises(LimitExceeded):
        process(images.jpeg(), Adjustment(), limits=Limits(max_pixels=10))


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (MemoryError(), Code.OUT_OF_MEMORY),
        (cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes"), Code.OUT_OF_MEMORY),
        (cv2.error("of a codec"), Code.INTERNAL_ERROR),
        (AssertionError("of ours"), Code.INTERNAL_ERROR),
        (RecursionError(), Code.INTERNAL_ERROR),
    ],
)
def test_whatever_goes_wrong_is_an_image_error(monkeypatch, raised, code):
    def fail(*_):
        raise raised

    monkeypatch.setattr(pipeline, "encode", fail)
    with pytest.raises(ImageError) as caught:
        process(images.jpeg(), ADJUSTMENT)
    assert caught.value.code is code
    assert caught.value.__cause__ is raised


def test_a_user_who_interrupts_is_not_an_image_error(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "encode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        process(images.jpeg(), ADJUSTMENT)


@pytest.mark.parametrize("level", PngLevel)
@pytest.mark.parametrize(
    "file", [images.jpeg(images.pixels(300, 200)), images.png_of(images.pixels(300, 200))]
)
def test_another_process_writes_the_same_bytes(file, level, tmp_path):
    (tmp_path / "in").write_bytes(file)
    program = (
        "import sys, pathlib\n"
        "from imgbatch.pipeline import process\n"
        "from imgbatch.adjustment import Adjustment\n"
        "from imgbatch.recipe import Encoding, OutputFormat, PngLevel\n"
        "encoding = Encoding(OutputFormat.PNG, png_level=PngLevel(sys.argv[2]))\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "sys.stdout.buffer.write(process(data, Adjustment(12, -20, 60), encoding=encoding))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "in"), str(level)]
    there = subprocess.run(command, capture_output=True, check=True).stdout
    here = process(file, ADJUSTMENT, encoding=Encoding(OutputFormat.PNG, png_level=level))
    assert there == here


def test_neutral_factors_leave_every_sample_of_a_lossless_file():
    image = images.pixels(bits=16)
    written = process(images.png_of(image), Adjustment())
    decoded = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (decoded[:, :, ::-1] == image).all()


def test_a_jpeg_keeps_its_size_if_nothing_is_asked():
    y, x = np.mgrid[:300, :400]
    smooth = 120 + 60 * np.sin(x / 30) + 40 * np.cos(y / 40)
    noise = np.random.default_rng(1).normal(0, 8, (300, 400, 1)).repeat(3, axis=2)
    picture = np.clip(smooth[:, :, None] + noise, 0, 255).astype(np.uint8)
    for quality in (40, 75, 90, 98):
        for optimised in (False, True):
            file = images.jpeg(picture, quality=quality, optimize=optimised)
            assert abs(len(process(file, Adjustment())) / len(file) - 1) < 0.05


def test_thumbnails_that_fail_cost_the_page_a_picture_and_nothing_else(monkeypatch):
    file = images.jpeg(images.pixels(300, 200))
    expected = Pipeline().run(file, Recipe(ADJUSTMENT))

    def fail(*_):
        raise cv2.error("nothing")

    monkeypatch.setattr("imgbatch.images.display.thumbnail", fail)
    assert Pipeline().run(file, Recipe(ADJUSTMENT), thumbnail_room=(48, 36)) == expected


def test_thumbnails_are_of_the_pixels_that_are_read_and_of_those_that_are_written():
    file = images.jpeg(images.pixels(300, 200))
    made = Pipeline().run(file, Recipe(Adjustment(brightness=40)), thumbnail_room=(48, 36))
    before, after = (images.decoded(thumbnail).mean() for thumbnail in made.thumbnails)
    assert before + 15 < after
