"""AVIF is read and written as it is, held against OpenCV's decoder, which is another one."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.support import images, photos

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, DamagedImage, ImageError, LimitExceeded, RefusedImage
from imgbatch.images.avif.quality import size_of
from imgbatch.images.buffers import Buffers
from imgbatch.images.formats import detect_format, inspect
from imgbatch.images.isobmff import boxes, find
from imgbatch.images.limits import Limits
from imgbatch.images.profiles import profile_of
from imgbatch.pipeline import Pipeline, Processed
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat, Recipe

KEEP, TO_PNG = Encoding(), Encoding(OutputFormat.PNG)
FINE = {"quality": 100, "subsampling": "4:4:4"}


def run(file: bytes, encoding: Encoding = KEEP, adjustment: Adjustment | None = None) -> Processed:
    return Pipeline().run(file, Recipe(adjustment or Adjustment(), encoding))


def by_opencv(file: bytes) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    order = cv2.COLOR_BGR2RGB if decoded.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return cv2.cvtColor(decoded, order)


def of_bits(bits: int) -> bytes:
    image = np.ascontiguousarray(images.pixels(bits=16)[:, :, ::-1] >> 16 - bits)
    options = (cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_DEPTH, bits)
    return cv2.imencode(".avif", image, options)[1].tobytes()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_are_those_of_another_decoder(channels):
    options = FINE if channels > 1 else {"quality": 100}
    file = images.avif(images.pixels(channels=channels), **options)
    written = images.decoded(run(file, TO_PNG).data)
    assert written.shape[2] == channels
    if channels > 1:
        assert abs(by_opencv(file).astype(int) - written).max() <= 1
    assert abs(images.pixels(channels=channels).astype(int) - written).max() <= 4


@pytest.mark.parametrize("bits", [10, 12])
def test_more_bits_become_sixteen_and_eight_where_there_is_no_room(bits):
    file = of_bits(bits)
    written = cv2.imdecode(np.frombuffer(run(file, TO_PNG).data, np.uint8), cv2.IMREAD_UNCHANGED)
    truth = images.pixels(bits=16).astype(int)
    assert written.dtype == np.uint16
    assert abs(written[:, :, ::-1] - truth).max() < 5 << 16 - bits
    kept = run(file)
    assert set(kept.notes) == {"quality-estimated", "depth-reduced"}
    assert abs(images.decoded(kept.data).astype(int) - truth // 257).mean() < 8


@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("quality", [50, 80])
def test_sampling_and_about_the_size_are_kept(sampling, quality):
    file = images.avif(photos.pixels(256, 192), quality=quality, subsampling=sampling)
    written = run(file)
    assert written.notes == ("quality-estimated",)
    assert 0.6 < len(written.data) / len(file) < 1.6
    configurations = [
        bytes(find(memoryview(it), b"meta", b"iprp", b"ipco", b"av1C"))[2]
        for it in (file, written.data)
    ]
    assert configurations[0] == configurations[1]
    assert len(run(file, Encoding(quality=10)).data) < len(file) / 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_metadata_stay_byte_for_byte_and_the_picture_lies_as_it_lay(orientation):
    exif = images.exif(orientation)
    profile = images.profile()
    file = images.avif(exif=exif, xmp=images.XMP, icc_profile=profile, **FINE)
    for encoding in (KEEP, TO_PNG, Encoding(OutputFormat.JPEG)):
        written = images.opened(run(file, encoding).data)
        assert written.size == (48, 32)
        assert written.getexif().get(0x0112, 1) == orientation
        assert written.getexif()[0x010F] == "Imaginary"
        assert written.info["icc_profile"] == profile
        assert written.info["xmp"] == images.XMP
    assert find(memoryview(run(file).data), b"meta", b"iprp", b"ipco", b"irot") == find(
        memoryview(file), b"meta", b"iprp", b"ipco", b"irot"
    )
    stripped = images.opened(run(file, Encoding(strip_metadata=True)).data)
    assert dict(stripped.getexif()) == ({} if orientation == 1 else {0x0112: orientation})


def test_exif_is_written_as_it_was():
    exif = images.exif(1, b"behind the directory\0")
    without = exif.replace(b"\x01\x12\0\3", b"\x01\x13\0\3")
    file = images.avif(exif=without).replace(without, exif)  # Pillow would rewrite it
    assert exif in file
    assert exif in run(file).data


def test_exif_that_claims_more_than_there_is_raises_no_warning():
    file = images.avif(exif=images.exif(1).replace(b"\x01\x12\0\3", b"\x01\x13\0\3"))
    at = file.index(b"\x01\x0f\0\2") + 4
    broken = file[:at] + struct.pack(">I", 10**6) + file[at + 4 :]
    assert images.decoded(run(broken, TO_PNG).data).shape == (32, 48, 3)


def test_colours_that_are_said_by_numbers_stay():
    file = images.avif(**FINE).replace(
        b"colrnclx" + struct.pack(">HH", 1, 13), b"colrnclx" + struct.pack(">HH", 12, 13)
    )
    colours = find(memoryview(run(file).data), b"meta", b"iprp", b"ipco", b"colr")
    assert bytes(colours[:8]) == b"nclx" + struct.pack(">HH", 12, 13)
    jpeg = images.opened(run(file, Encoding(OutputFormat.JPEG)).data)
    assert jpeg.info["icc_profile"] == profile_of((12, 13))


def test_a_file_that_ends_at_any_box_fails():
    file = images.avif(**FINE)
    ends = [len(file) - len(body) for _, body in boxes(memoryview(file))]
    for end in {*range(40, len(file), 97), *ends, len(file) - 1}:
        with pytest.raises(DamagedImage) as caught:
            run(file[:end])
        assert caught.value.code is Code.TRUNCATED_IMAGE


@pytest.mark.parametrize("size", [(8, 8), (96, 32), (48, 31), (30_000, 30_000)])
def test_a_size_that_the_picture_does_not_have_is_damage(size):
    file = images.avif(**FINE)
    at = file.index(b"ispe") + 8
    with pytest.raises(ImageError) as caught:
        run(file[:at] + struct.pack(">II", *size) + file[at + 8 :])
    assert caught.value.code is Code.DAMAGED_IMAGE


def of_another_size(file: bytes) -> bytes:
    at = file.index(b"ispe") + 8
    return file[:at] + struct.pack(">II", 96, 64) + file[at + 8 :]


@pytest.mark.parametrize(
    "file",
    [
        images.avif(**FINE, xmp=images.XMP + b" " * 50_000),
        images.avif(**FINE).replace(b"Color\0", b"grid!\0"),
    ],
    ids=["much metadata", "a name"],
)
def test_what_stands_beside_a_picture_hides_no_wrong_size(file):
    assert images.decoded(run(file, TO_PNG).data).shape == (32, 48, 3)
    with pytest.raises(DamagedImage):
        run(of_another_size(file))


def test_quality_is_that_of_the_picture_and_not_of_what_is_larger():
    picture = photos.pixels(96, 64)
    alpha = np.random.default_rng(1).integers(0, 256, (64, 96, 1)).astype(np.uint8)
    plain = inspect(memoryview(images.avif(picture, quality=40)), Limits())
    for file in (
        images.avif(picture, quality=40, xmp=images.XMP + b" " * 50_000),
        images.avif(np.dstack((picture, alpha)), quality=40),
    ):
        assert inspect(memoryview(file), Limits()).quality == plain.quality


def test_the_size_of_a_stream_that_says_times_is_found():
    fields = [(0, 3), (0, 2), (1, 1)]  # profile, not reduced, times
    fields += [(1, 32), (30, 32), (1, 1), (0b00101, 5)]  # as a number of variable length
    fields += [(1, 1), (6, 5), (1, 32), (3, 5), (3, 5)]  # a decoder's delays, of 7 bits
    fields += [(0, 1), (0, 5), (0, 12), (9, 5), (0, 1), (1, 1), (0, 15)]  # one operating point
    fields += [(9, 4), (8, 4), (999, 10), (499, 9), (0, 100)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    body = int(bits[: len(bits) // 8 * 8], 2).to_bytes(len(bits) // 8)
    assert size_of(b"\x0a" + bytes((len(body),)) + body) == (1000, 500)


def test_too_few_bytes_for_a_box_are_dropped_and_noted():
    file = images.avif(**FINE)
    assert run(file + b"stray", TO_PNG).notes == ("trailing-data-dropped",)
    assert run(file + b"stray", TO_PNG).data == run(file, TO_PNG).data


def test_numbers_that_stand_for_no_colours_are_left_out():
    usual = b"colrnclx" + struct.pack(">HH", 1, 13)
    file = images.avif(**FINE).replace(usual, b"colrnclx" + struct.pack(">HH", 300, 16))
    assert b"cICP" not in dict(images.png_chunks(run(file, TO_PNG).data))


def test_a_row_of_boxes_without_end_is_refused():
    with pytest.raises(RefusedImage, match="boxes"):
        find(memoryview(b"\0\0\0\x08free" * 100_001), b"meta")


def test_an_avif_of_another_brand_is_known():
    file = images.avif(**FINE)
    file = file[:8] + b"mif1" + file[12:]
    assert detect_format(memoryview(file)) == "heif"
    assert inspect(memoryview(file), Limits()).file_format == "avif"


# --- animations -----------------------------------------------------------------------------------

LEVELS, MILLISECONDS = (10, 120, 200, 200), [100, 250, 33, 1000]


def animation(**options: object) -> bytes:
    frames = [Image.fromarray(np.full((32, 48, 3), level, np.uint8)) for level in LEVELS]
    options |= {"save_all": True, "append_images": frames[1:], "duration": MILLISECONDS}
    return images.pillow_file(frames[0], "AVIF", **FINE, **options)


def levels_and_times(file: bytes) -> list[tuple[int, int]]:
    image = Image.open(io.BytesIO(file))
    found = []
    for number in range(image.n_frames):
        image.seek(number)
        image.load()
        found.append((round(np.asarray(image).mean()), image.info["duration"]))
    return found


def test_every_frame_of_an_animation_is_adjusted_and_shown_as_long():
    expected = list(zip(LEVELS, MILLISECONDS, strict=True))
    assert levels_and_times(run(animation()).data) == expected
    brighter = levels_and_times(run(animation(), adjustment=Adjustment(brightness=20)).data)
    assert brighter == [(level + 20, time) for level, time in expected]


def test_an_animation_written_twice_has_the_same_bytes_whenever_it_is_written(monkeypatch):
    file = animation()
    first = run(file).data
    movie = find(memoryview(first), b"moov", b"mvhd")
    assert bytes(movie[4:20]) == bytes(16)
    assert run(file).data == first


@pytest.mark.parametrize("plays", [0, 1, 3])
def test_it_is_played_as_often(plays):
    file = bytearray(animation())
    track = find(memoryview(file), b"moov", b"trak")
    edit, head = find(track, b"edts", b"elst"), find(track, b"tkhd")
    if plays:
        edit[3] = plays > 1
        head[28:36] = (plays * int.from_bytes(edit[8:16])).to_bytes(8)
    written = inspect(memoryview(run(bytes(file)).data), Limits())
    assert written.plays == plays


@pytest.mark.parametrize("plays", [0, 1, 3])
def test_it_is_played_as_often_if_its_numbers_are_short(plays):
    file = bytearray(animation())
    track = find(memoryview(file), b"moov", b"trak")
    edit, head = find(track, b"edts", b"elst"), find(track, b"tkhd")
    once = int.from_bytes(edit[8:16])
    total = (plays * once if plays else 2**32 - 1).to_bytes(4)
    edit[0], edit[3], edit[8:20] = 0, plays != 1, struct.pack(">IIHH", once, 0, 1, 0)
    short = b"\0" + bytes(head[1:4]) + bytes(8) + bytes(head[20:24]) + bytes(4) + total
    head[:] = (short + bytes(head[36:])).ljust(len(head), b"\0")
    assert inspect(memoryview(bytes(file)), Limits()).plays == plays


def test_more_plays_than_can_be_written_become_the_most():
    file = bytearray(animation())
    find(memoryview(file), b"moov", b"trak", b"tkhd")[28:36] = (2**63).to_bytes(8)
    assert inspect(memoryview(run(bytes(file), TO_PNG).data), Limits()).plays == 2**31 - 1


def test_durations_do_not_drift():
    frames = [Image.fromarray(np.full((8, 8, 3), 8 * level, np.uint8)) for level in range(30)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 40}
    file = bytearray(images.pillow_file(frames[0], "AVIF", **options))
    head = find(memoryview(file), b"moov", b"trak", b"mdia", b"mdhd")
    assert int.from_bytes(head[20:24]) == 1000
    head[20:24] = (1199).to_bytes(4)
    source = inspect(memoryview(bytes(file)), Limits())
    shown = [frame.seconds for frame in source.frames(Buffers(), DamagedPolicy.STRICT)]
    assert abs(float(sum(shown)) - 30 * 40 / 1199) < 0.002


def test_the_first_frame_alone_can_be_taken():
    first = run(animation(), Encoding(frames="first"))
    assert set(first.notes) == {"frames-dropped", "quality-estimated"}
    assert levels_and_times(first.data)[0][0] == LEVELS[0]
    assert Image.open(io.BytesIO(first.data)).n_frames == 1


def test_all_frames_count_before_any_is_decoded():
    inspect(memoryview(animation()), Limits(max_pixels=40_000))
    with pytest.raises(LimitExceeded, match="4 frames of 48 x 32"):
        inspect(memoryview(animation()), Limits(max_pixels=39_999))
    run(animation(), Encoding(frames="first"))
