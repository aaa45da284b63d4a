"""Animations play the same: held against Pillow, which puts frames together in its own way."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.support import images

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, DamagedImage, ImageError, LimitExceeded, RefusedImage
from imgbatch.images.formats import FORMATS, inspect
from imgbatch.images.gif.container import MOST_EXTENSIONS, join_gif, parse_gif
from imgbatch.images.limits import Limits
from imgbatch.images.webp.container import join_webp, parse_webp
from imgbatch.pipeline import Pipeline, Processed
from imgbatch.recipe import DamagedPolicy, Encoding, Frames, OutputFormat, Recipe
from imgbatch_kernels import adjust

KEEP, TO_PNG, FIRST = Encoding(), Encoding(OutputFormat.PNG), Encoding(frames="first")
ADJUSTMENT = Adjustment(10, 20, 40)
WIDTH, HEIGHT = 40, 24
MILLISECONDS = [100, 250, 30, 500, 40]


def run(file: bytes, encoding: Encoding = KEEP, adjustment: Adjustment | None = None) -> Processed:
    return Pipeline().run(file, Recipe(adjustment or Adjustment(), encoding))


def played(file: bytes) -> list[tuple[bytes, int]]:
    """Return what is seen, and for how many milliseconds; what lies under nothing is not seen."""
    image = Image.open(io.BytesIO(file))
    found: list[tuple[bytes, int]] = []
    for number in range(image.n_frames):
        image.seek(number)
        pixels = np.array(image.convert("RGBA"))
        pixels[pixels[:, :, 3] == 0] = 0
        seen, duration = pixels.tobytes(), round(image.info.get("duration", 0))
        if found and found[-1][0] == seen:
            found[-1] = seen, found[-1][1] + duration
        else:
            found.append((seen, duration))
    return found


def drawings(has_alpha: bool = True) -> list[Image.Image]:
    """Return frames of few colours: a square that moves, of which one leaves a hole behind it."""
    found = []
    for number in range(len(MILLISECONDS)):
        frame = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        frame[:, :] = (40, 90, 160, 255)
        frame[::5, ::3] = (200, 180, 20, 255)
        frame[3 + number : 12 + number, 4 * number : 4 * number + 9] = (230, 30 * number, 60, 255)
        if has_alpha:
            frame[-1, -1] = 0  # Pillow erases to transparency only where there was some before
            frame[10:20, 15 + number : 30 if number in (1, 3) else 0] = 0
        found.append(Image.fromarray(frame if has_alpha else frame[:, :, :3]))
    return found


def animation(kind: str, plays: int = 0, has_alpha: bool = True, **options: object) -> bytes:
    frames = drawings(has_alpha)
    if kind == "GIF":
        options["disposal"] = 2
    if kind == "WEBP":
        options["lossless"] = True
    loop = {} if kind == "GIF" and plays == 1 else {"loop": max(plays - (kind == "GIF"), 0)}
    options |= {"save_all": True, "append_images": frames[1:], "duration": MILLISECONDS, **loop}
    return images.pillow_file(frames[0], kind, **options)


KINDS = ["GIF", "PNG", "WEBP"]


@pytest.mark.parametrize("encoding", [KEEP, TO_PNG], ids=["keep", "png"])
@pytest.mark.parametrize("has_alpha", [True, False], ids=["with holes", "opaque"])
@pytest.mark.parametrize("kind", KINDS)
def test_neutral_factors_change_nothing_that_is_seen(kind, has_alpha, encoding):
    file = animation(kind, has_alpha=has_alpha)
    written = run(file, encoding)
    assert played(written.data) == played(file)
    assert [time for _, time in played(file)] == MILLISECONDS
    assert Image.open(io.BytesIO(written.data)).format == ("PNG" if encoding is TO_PNG else kind)


@pytest.mark.parametrize("encoding", [KEEP, TO_PNG], ids=["keep", "png"])
@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_played_as_often(kind, plays, encoding):
    file = animation(kind, plays)
    assert inspect(memoryview(file), Limits()).plays == plays
    assert inspect(memoryview(run(file, encoding).data), Limits()).plays == plays


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_sees_each_frame_as_it_is_shown(kind):
    file = animation(kind, has_alpha=False)
    before = [np.frombuffer(seen, np.uint8).reshape(HEIGHT, WIDTH, 4) for seen, _ in played(file)]
    after = [seen for seen, _ in played(run(file, TO_PNG, ADJUSTMENT).data)]
    assert after == [adjust(frame.copy(), **asdict(ADJUSTMENT)).tobytes() for frame in before]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_frame_alone_can_be_taken_and_is_noted(kind):
    file = animation(kind)
    written = run(file, FIRST)
    assert "frames-dropped" in written.notes
    assert getattr(Image.open(io.BytesIO(written.data)), "n_frames", 1) == 1
    assert played(written.data)[0][0] == played(file)[0][0]
    as_jpeg = run(file, Encoding(OutputFormat.JPEG, frames="first"))
    assert Image.open(io.BytesIO(as_jpeg.data)).format == "JPEG"


@pytest.mark.parametrize("kind", [*KINDS, "AVIF"])
def test_what_can_hold_one_picture_only_refuses_and_names_the_way_out(kind):
    with pytest.raises(RefusedImage, match="--frames first") as caught:
        run(animation(kind), Encoding(OutputFormat.JPEG))
    assert caught.value.code is Code.ANIMATED_IMAGE


@pytest.mark.parametrize("kind", [*KINDS, "AVIF"])
def test_thumbnails_show_the_first_frame(kind):
    processed = Pipeline().run(animation(kind, has_alpha=False), Recipe(ADJUSTMENT), None, (40, 40))
    assert processed.thumbnails is not None
    before, after = (np.asarray(Image.open(io.BytesIO(it)), int) for it in processed.thumbnails)
    assert abs(before - np.asarray(drawings(has_alpha=False)[0])).mean() < 25
    assert after.mean() != before.mean()


@pytest.mark.parametrize("kind", [*KINDS, "AVIF"])
def test_all_frames_are_counted_before_any_is_decoded(kind):
    file = animation(kind)
    inspect(memoryview(file), Limits(max_pixels=50_000))
    with pytest.raises(LimitExceeded, match="5 frames of 40 x 24"):
        inspect(memoryview(file), Limits(max_pixels=49_999))
    inspect(memoryview(file), Limits(max_pixels=49_999), Frames.FIRST)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_ends_early_fails_wherever(kind):
    file = animation(kind)
    for end in {*range(30, len(file), 11), len(file) - 1}:
        with pytest.raises(DamagedImage):
            run(file[:end])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bytes_that_are_changed_end_in_an_image_or_a_coded_failure(kind, data):
    file = bytearray(animation(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(6, len(file) - 1))
        file[at] = data.draw(st.integers(0, 255))
    encoding = Encoding(damaged=data.draw(st.sampled_from(DamagedPolicy)))
    code = None
    try:
        Pipeline(Limits(max_pixels=10**6)).run(bytes(file), Recipe(encoding=encoding))
    except ImageError as error:
        code = error.code
    assert code is not Code.INTERNAL_ERROR


# --- GIF ------------------------------------------------------------------------------------------


def test_every_still_gif_keeps_its_colours_and_its_comment():
    picture = Image.fromarray(images.pixels()).quantize(200)
    file = images.pillow_file(picture, "GIF", comment=b"of a picture", transparency=3)
    written = run(file)
    assert written.notes == ()
    assert played(written.data) == played(file)
    assert images.opened(written.data).info["comment"] == b"of a picture"
    assert "comment" not in images.opened(run(file, Encoding(strip_metadata=True)).data).info
    assert "metadata-dropped" in run(file, TO_PNG).notes


def test_colours_that_no_palette_can_hold_become_the_most_alike_and_are_noted():
    picture = Image.fromarray(images.pixels(96, 64)).quantize(256)
    written = run(images.pillow_file(picture, "GIF"), adjustment=Adjustment(sharpness=30))
    assert written.notes == ("palette-reduced",)
    expected = adjust(np.array(picture.convert("RGB")), sharpness=30).astype(int)
    assert abs(np.asarray(images.opened(written.data).convert("RGB")) - expected).mean() < 8
    assert run(images.pillow_file(picture, "GIF"), adjustment=Adjustment(20, 30)).notes == ()


def test_profile_and_xmp_of_a_gif_stay_and_go_along():
    blocks = [images.profile()[at : at + 255] for at in range(0, len(images.profile()), 255)]
    profile = b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"
    magic = bytes((1, *range(255, -1, -1), 0))
    extensions = b"!\xff\x0bICCRGBG1012" + profile + b"!\xff\x0bXMP DataXMP" + images.XMP + magic
    file = animation("GIF")
    at = file.index(b"!\xff\x0bNETSCAPE2.0")
    file = file[:at] + extensions + file[at:]
    assert extensions in run(file).data
    png = images.opened(run(file, TO_PNG).data)
    assert png.info["icc_profile"] == images.profile()
    assert png.info["xmp"] == images.XMP


def test_what_is_there_of_a_gif_can_be_salvaged():
    file = animation("GIF", has_alpha=False)
    written = run(file[:-300], Encoding(damaged="salvage"))
    assert "salvaged" in written.notes
    kept = played(written.data)
    assert 0 < len(kept) < len(MILLISECONDS)
    assert [seen for seen, _ in kept] == [seen for seen, _ in played(file)][: len(kept)]


def test_bytes_behind_a_gif_are_dropped_and_noted():
    file = animation("GIF")
    assert run(file + b"more").notes == ("trailing-data-dropped",)
    assert run(file + b"more").data == run(file).data


def gif_of_dots(count: int, size: tuple[int, int] = (1, 1)) -> bytes:
    dot = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes(6) + dot * count + b";"


def test_a_million_frames_of_one_pixel_are_refused():
    for count in (25_001, 100_001):
        with pytest.raises(RefusedImage):
            run(gif_of_dots(count))
    assert run(gif_of_dots(1_000)).width_pixels == 1


def test_a_canvas_of_gigabytes_is_refused_before_a_pixel_is_decoded():
    with pytest.raises(LimitExceeded):
        run(gif_of_dots(2, (65_535, 65_535)))


def test_a_gif_that_viewers_show_differently_is_refused():
    dot = gif_of_dots(1)
    outside = dot.replace(
        struct.pack("<HHHHB", 0, 0, 1, 1, 0), struct.pack("<HHHHB", 1, 0, 1, 1, 0)
    )
    without = dot[:10] + b"\0" + dot[11:13] + dot[19:]
    for file in (outside, without):
        with pytest.raises(RefusedImage) as caught:
            run(file)
        assert caught.value.code is Code.UNSUPPORTED_IMAGE


def gif_of(*stored: tuple[int, int, int]) -> bytes:
    """Return a GIF of squares, each of a side, as far from the corner, and with a disposal."""
    frames = []
    for number, (side, offset, disposal) in enumerate(stored):
        square = Image.new("P", (side, side), number)
        square.putpalette(bytes(range(10, 22)))
        (frame,) = parse_gif(memoryview(images.pillow_file(square, "GIF"))).frames
        place = {"left": offset, "top": offset, "delay": 10, "disposal": disposal}
        frames.append(replace(frame, **place))
    return join_gif((16, 16), frames)


@pytest.mark.parametrize("disposal", [3, 4])
def test_before_a_first_frame_of_which_nothing_stays_there_was_nothing(disposal):
    file = gif_of((16, 0, disposal), (4, 2, 0))
    for gif in (file, run(file).data):
        second = played(run(gif, TO_PNG).data)[1][0]
        alpha = np.frombuffer(second, np.uint8).reshape(16, 16, 4)[:, :, 3]
        assert (alpha[2:6, 2:6] == 255).all()
        assert alpha.sum() == 16 * 255


@pytest.mark.parametrize("disposal", [3, 4])
def test_below_a_frame_that_goes_is_what_was_there_before(disposal):
    file = gif_of((16, 0, 0), (8, 1, disposal), (3, 12, 0))
    assert played(run(file).data) == played(file)


def test_how_much_to_load_first_is_not_how_often_it_is_played():
    file = animation("GIF", plays=3).replace(b"NETSCAPE2.0\3\1", b"NETSCAPE2.0\3\2")
    assert inspect(memoryview(file), Limits()).plays == 1


def test_a_gif_of_hardly_anything_but_comments_is_refused():
    dot = gif_of_dots(1)
    run(dot[:-1] + b"!\xfe\0" * MOST_EXTENSIONS + b";")
    with pytest.raises(RefusedImage, match="comments"):
        run(dot[:-1] + b"!\xfe\0" * (MOST_EXTENSIONS + 1) + b";")


# --- APNG -----------------------------------------------------------------------------------------

Stored = tuple[np.ndarray, int, int, int, int]
"""Pixels, left, top, disposal, blending."""


def apng(canvas: np.ndarray, stored: list[Stored], hidden: np.ndarray | None = None) -> bytes:
    """Return an animation of frames as they are stored."""

    def data(pixels: np.ndarray) -> bytes:
        return images.png_chunks(images.png_of(pixels))[1][1]

    sequence, before, after = 0, [], []
    for number, (pixels, left, top, disposal, blending) in enumerate(stored):
        height, width = pixels.shape[:2]
        control = struct.pack(
            ">5I2H2B", sequence, width, height, left, top, 1, 10 + number, disposal, blending
        )
        target = before if number == 0 and hidden is None else after
        target.append(images.chunk(b"fcTL", control))
        sequence += 1
        if number or hidden is not None:
            after.append(images.chunk(b"fdAT", struct.pack(">I", sequence) + data(pixels)))
            sequence += 1
    first = stored[0][0] if hidden is None else hidden
    control = images.chunk(b"acTL", struct.pack(">II", len(stored), 0))
    return images.png_of(first, before=(control, *before), after=tuple(after))


@st.composite
def stored_frames(draw: Callable) -> list[Stored]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames: list[Stored] = []
    for number in range(draw(st.integers(2, 5))):
        left, top = (draw(st.integers(0, 12)) if number else 0 for _ in range(2))
        width = draw(st.integers(1, 16 - left)) if number else 16
        height = draw(st.integers(1, 16 - top)) if number else 16
        pixels = random.integers(0, 256, (height, width, 4)).astype(np.uint8)
        pixels[:, :, -1] = random.choice((0, 255), (height, width))
        frames.append((pixels, left, top, draw(st.integers(0, 2)), draw(st.integers(0, 1))))
    return frames


def shown_by_opencv(file: bytes) -> list[bytes]:
    frames = cv2.imdecodeanimation(np.frombuffer(file, np.uint8))[1].frames
    for frame in frames:
        frame[frame[:, :, 3] == 0] = 0
    return [cv2.cvtColor(frame, cv2.COLOR_BGRA2RGBA).tobytes() for frame in frames]


@settings(max_examples=60, deadline=None)
@given(stored=stored_frames())
def test_frames_are_put_together_as_opencv_does(stored):
    file = apng(np.zeros((16, 16)), stored)
    assert shown_by_opencv(run(file).data) == shown_by_opencv(file)


def test_what_is_partly_transparent_is_laid_over_what_is_there():
    below, above = images.pixels(16, 16, 4), images.pixels(8, 8, 4)[::-1].copy()
    file = apng(below, [(below, 0, 0, 0, 0), (above, 4, 4, 0, 1)])
    ours = np.frombuffer(played(run(file).data)[1][0], np.uint8).reshape(16, 16, 4).astype(int)
    mixed = Image.alpha_composite(Image.fromarray(below[4:12, 4:12]), Image.fromarray(above))
    assert abs(ours[4:12, 4:12] - np.asarray(mixed)).max() <= 1
    assert (ours[:4] == below[:4]).all()


def test_sixteen_bits_stay_sixteen():
    first, second = images.pixels(16, 16, 3, 16), images.pixels(5, 7, 3, 16)
    chunks = images.png_chunks(run(apng(first, [(first, 0, 0, 0, 0), (second, 3, 4, 0, 0)])).data)
    rows = zlib.decompress(next(body for kind, body in chunks if kind == b"IDAT"))
    assert len(rows) == 16 * (1 + 16 * 6)
    assert len([kind for kind, _ in chunks if kind == b"fdAT"]) == 1
    written = images.opened(run(apng(first, [(first, 0, 0, 0, 0)] * 2), FIRST).data)
    assert (np.asarray(written) == first >> 8).all()


def test_a_picture_for_viewers_without_animations_is_no_frame():
    first, second = images.pixels(16, 16), images.pixels(16, 16)[::-1]
    file = apng(first, [(second, 0, 0, 0, 0), (first, 0, 0, 0, 0)], hidden=np.zeros_like(first))
    assert [seen for seen, _ in played(run(file).data)] == [
        np.dstack((it, np.full((16, 16), 255, np.uint8))).tobytes() for it in (second, first)
    ]


def changed(file: bytes, kind: bytes, number: int, at: int, value: bytes) -> bytes:
    """Return a PNG with other bytes in one chunk, and a checksum that is right."""
    chunks = images.png_chunks(file)
    index = [place for place, (found, _) in enumerate(chunks) if found == kind][number]
    body = chunks[index][1]
    chunks[index] = kind, body[:at] + value + body[at + len(value) :]
    return file[:8] + b"".join(images.chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize(
    ("kind", "number", "at", "value"),
    [
        (b"fcTL", 1, 0, struct.pack(">I", 7)),  # out of order
        (b"fdAT", 0, 0, struct.pack(">I", 9)),
        (b"fcTL", 1, 12, struct.pack(">I", 30)),  # outside of the canvas
        (b"fcTL", 1, 4, struct.pack(">I", 0)),
        (b"fcTL", 1, 24, b"\3"),  # an unknown disposal
        (b"acTL", 0, 0, struct.pack(">I", 9)),  # more frames than there are
    ],
)
def test_frames_that_contradict_each_other_are_refused(kind, number, at, value):
    first, second = images.pixels(16, 16), images.pixels(8, 8)
    file = apng(first, [(first, 0, 0, 0, 0), (second, 3, 4, 0, 0)])
    with pytest.raises(DamagedImage):
        run(changed(file, kind, number, at, value))


# --- WebP -----------------------------------------------------------------------------------------


def test_a_lossy_animation_keeps_about_its_size():
    frames = [Image.fromarray(np.roll(images.pixels(128, 96), 9 * n, axis=1)) for n in range(4)]
    file = images.pillow_file(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=80, quality=60
    )
    written = run(file)
    assert written.notes == ("quality-estimated",)
    assert 0.7 < len(written.data) / len(file) < 1.4


def test_metadata_of_an_animated_webp_stay():
    file = animation("WEBP", exif=images.exif(), xmp=images.XMP, icc_profile=images.profile())
    before, after = images.opened(file).info, images.opened(run(file).data).info
    for name in ("exif", "xmp", "icc_profile", "background"):
        assert after[name] == before[name]


def test_a_frame_of_more_than_a_minute_is_shown_as_long():
    file = images.moving(images.pixels(), "WEBP", duration=[65_537, 120, 40])
    assert [time for _, time in played(run(file, TO_PNG).data)] == [65_537, 120, 40]


def test_bytes_behind_a_webp_are_dropped_and_noted():
    for file in (animation("WEBP"), images.webp(lossless=True)):
        assert run(file + b"more").notes == ("trailing-data-dropped",)
        assert run(file + b"more").data == run(file).data
        assert run(file).notes == ()


def test_an_animated_webp_whose_settings_are_too_short_is_damage():
    chunks = parse_webp(memoryview(animation("WEBP"))).chunks
    short = [(name, body[:3] if name == b"ANIM" else body) for name, body in chunks]
    with pytest.raises(DamagedImage) as caught:
        run(join_webp([*short]))
    assert caught.value.code is Code.DAMAGED_IMAGE


def test_every_format_that_holds_animations_is_tried_here():
    assert {"gif", "png", "webp", "avif"} <= set(FORMATS)
    assert len(parse_gif(memoryview(animation("GIF"))).frames) == len(MILLISECONDS)
