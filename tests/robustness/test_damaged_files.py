"""Files that are damaged or hostile end in an image or a coded failure, and harm nothing."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support import images, tiffs

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, DamagedImage, ImageError, LimitExceeded
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import DamagedPolicy, Encoding, Recipe

ROOT = Path(__file__).parents[2]
FUZZ = Path(__file__).with_name("fuzz.py")
STRICT = Recipe(Adjustment(10, 20, 30))
SALVAGE = Recipe(Adjustment(10, 20, 30), Encoding(damaged=DamagedPolicy.SALVAGE))


def in_child(*arguments: str, tmp_path: Path) -> dict[str, object]:
    """Run the fuzzer in a process of its own; if it dies, say at which case."""
    state = tmp_path / "state.json"
    command = [sys.executable, "-X", "faulthandler", str(FUZZ), "--state", str(state), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    at = state.read_text() if state.exists() else "its start"
    assert done.returncode == 0, f"died at {at}: {done.stderr[-2000:]}"
    assert done.stderr == "", "a decoder wrote to the terminal"
    return json.loads(done.stdout)


@pytest.mark.parametrize("seed", [1, 2])
def test_thousands_of_mutated_files_end_in_an_image_or_a_coded_failure(seed, tmp_path):
    found = in_child("--seed", str(seed), "--cases", "2000", tmp_path=tmp_path)
    assert found["wrong"] == []
    assert sum(found["outcomes"].values()) == 2000
    assert found["outcomes"]["written"] > 100
    assert found["slowest_seconds"] < 10
    assert found["peak_bytes"] < 600 * 2**20


def test_memory_does_not_grow_over_3000_failing_decodes(tmp_path):
    found = in_child("--failing", "3000", tmp_path=tmp_path)
    assert "written" not in found["outcomes"]
    assert sum(found["outcomes"].values()) == 3000
    assert found["grown_bytes"] < 4 * 2**20


@pytest.mark.parametrize("recipe", [STRICT, SALVAGE], ids=["strict", "salvage"])
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp", "avif", "bmp"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_bytes_behind_any_beginning_raise_nothing_but_image_errors(kind, recipe, data):
    file = getattr(images, kind)() if kind != "png" else images.png_of(images.pixels())
    cut = data.draw(st.integers(0, len(file)))
    tail = data.draw(st.binary(max_size=200))
    code = None
    try:
        Pipeline(Limits(max_pixels=10**6)).run(file[:cut] + tail, recipe)
    except ImageError as error:
        code = error.code
    assert code is not Code.INTERNAL_ERROR


def test_a_length_that_claims_gigabytes_is_refused_before_a_decoder():
    with pytest.raises(DamagedImage) as caught:
        Pipeline().run(images.length_bomb(), STRICT)
    assert caught.value.code is Code.TRUNCATED_IMAGE


def test_an_animation_that_would_crash_its_decoder_is_refused():
    with pytest.raises(DamagedImage):
        Pipeline().run(images.animation_with_short_frame(), SALVAGE)


def test_an_animation_of_one_frame_is_a_still_picture():
    control = images.chunk(b"acTL", struct.pack(">II", 1, 0))
    frame = images.chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 48, 32, 0, 0, 1, 10, 0, 0))
    image = images.pixels()
    written = Pipeline().run(images.png_of(image, before=(control, frame)), Recipe()).data
    assert (images.decoded(written) == image).all()


def test_a_progressive_file_of_a_thousand_empty_scans_is_refused():
    file = images.jpeg(images.pixels(640, 480), progressive=True)
    at = file.rindex(b"\xff\xda")
    with pytest.raises(DamagedImage, match="scans"):
        Pipeline().run(file[:-2] + file[at:-2] * 1500 + b"\xff\xd9", STRICT)


def test_a_profile_that_inflates_to_gigabytes_is_not_inflated():
    bomb = images.chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(64 * 2**20)))
    file = images.png_of(images.pixels(), before=(bomb,))
    assert inspect(memoryview(file), Limits()).metadata().icc is None


SIZES = {
    "jpeg": lambda: images.jpeg(images.pixels(300, 200)),
    "png": lambda: images.png_of(images.pixels(300, 200)),
    "tiff": lambda: images.tiff(images.pixels(300, 200)),
    "webp": lambda: images.webp(images.pixels(300, 200)),
    "bmp": lambda: images.bmp(images.pixels(300, 200)),
}


@pytest.mark.parametrize("kind", SIZES)
def test_too_many_pixels_are_refused_by_the_header_and_the_option_is_named(kind):
    file = SIZES[kind]()
    Pipeline(Limits(max_pixels=60_000)).run(file, STRICT)
    with pytest.raises(LimitExceeded, match="--max-pixels 59999") as caught:
        Pipeline(Limits(max_pixels=59_999)).run(file, STRICT)
    assert caught.value.code is Code.TOO_MANY_PIXELS


def test_too_many_bytes_are_refused_and_the_option_is_named():
    file = images.jpeg()
    Pipeline(Limits(max_bytes=len(file))).run(file, STRICT)
    with pytest.raises(LimitExceeded, match="--max-bytes") as caught:
        Pipeline(Limits(max_bytes=len(file) - 1)).run(file, STRICT)
    assert caught.value.code is Code.TOO_MANY_BYTES


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_fails_and_salvage_writes_what_is_there(kind, share):
    file = SIZES[kind]()
    cut = file[: int(len(file) * share)]
    with pytest.raises(DamagedImage):
        Pipeline().run(cut, STRICT)
    if kind == "tiff":  # its directory stands at the end
        return
    try:
        processed = Pipeline().run(cut, SALVAGE)
    except DamagedImage:
        assert kind == "webp"
        return
    assert processed.notes == ("salvaged",)
    whole, rows = Pipeline().run(file, STRICT).data, int(200 * share * 0.4)
    before, after = images.decoded(whole).astype(int), images.decoded(processed.data).astype(int)
    if kind == "bmp":  # stands on its head
        before, after = before[::-1], after[::-1]
    assert before.shape == after.shape
    assert abs(before[:rows] - after[:rows]).mean() < 8


@pytest.mark.parametrize("offset", range(40, 400, 40))
def test_one_flipped_bit_in_a_png_is_found(offset):
    file = bytearray(images.png_of(images.pixels()))
    file[offset] ^= 1
    with pytest.raises(DamagedImage):
        Pipeline().run(bytes(file), STRICT)


def test_zeros_in_front_of_a_jpegs_end_are_no_damage_but_noted():
    file = images.jpeg()
    padded = file[:-2] + bytes(500) + file[-2:]
    processed = Pipeline().run(padded, STRICT)
    assert processed.notes == ("padding-dropped",)
    assert processed.data == Pipeline().run(file, STRICT).data


def test_bytes_behind_the_picture_are_dropped_and_noted():
    for file in (images.jpeg(), images.png_of(images.pixels())):
        processed = Pipeline().run(file + b"a trailer", STRICT)
        assert processed.notes == ("trailing-data-dropped",)
        assert processed.data == Pipeline().run(file, STRICT).data


def size_by_pillow(file: bytes, kind: str) -> tuple[int, int] | None:
    """Return what Pillow would decode, as it is stored; None if it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(file), formats=[kind]) as image:
                width, height = image.size
                is_sideways = kind == "TIFF" and image.tag_v2.get(274) in (5, 6, 7, 8)
        except Exception:  # it has raised nearly everything
            return None
    return (height, width) if is_sideways else (width, height)


def doubled(file: bytes, start: int, length: int) -> bytes:
    """Return a file with a piece of it twice, and PNG checksums that are right."""
    return file[:start] + file[start : start + length] + file[start:]


def with_checksums(file: bytes) -> bytes:
    """Return a PNG whose checksums are right; other files as they are."""
    if file[:8] != b"\x89PNG\r\n\x1a\n":
        return file
    chunks = [(kind, body) for kind, body in images.png_chunks(file) if len(kind) == 4]
    return file[:8] + b"".join(images.chunk(kind, body) for kind, body in chunks)


HEADS = {
    "JPEG": images.jpeg(images.pixels(64, 64)),
    "PNG": images.png_of(images.pixels(64, 64)),
    "TIFF": tiffs.tiff(images.pixels(8, 8)),
    "WEBP": images.webp(images.pixels(64, 64), xmp=images.XMP),
    "BMP": images.bmp(images.pixels(64, 64)),
}


@pytest.mark.parametrize("kind", HEADS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_decoder_sees_another_size_than_the_one_that_was_checked(kind, data):
    file = bytearray(HEADS[kind])
    where = st.integers(0, min(len(file), 700) - 1)
    for at, value in data.draw(st.lists(st.tuples(where, st.integers(0, 255)), max_size=4)):
        file[at] = value
    for start, length in data.draw(st.lists(st.tuples(where, st.integers(1, 40)), max_size=2)):
        file = bytearray(doubled(bytes(file), start, length))
    changed = with_checksums(bytes(file))
    try:
        source = inspect(memoryview(changed), Limits())
    except ImageError:
        return
    assert source.file_format == kind.lower()
    assert size_by_pillow(changed, kind) in (
        None,
        (source.shape.width_pixels, source.shape.height_pixels),
    )
