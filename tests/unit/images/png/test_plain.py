from __future__ import annotations

import gzip
import itertools
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import images

from imgbatch.errors import Code, DamagedImage
from imgbatch.images.buffers import Buffers
from imgbatch.images.png import decode as png_decode
from imgbatch.images.png.container import parse_png
from imgbatch.images.png.decode import decode_intact, decode_plain
from imgbatch_kernels.png import filter_rows

IMAGE = images.pixels()
RAW = np.hstack((np.zeros((32, 1), np.uint8), IMAGE.reshape(32, -1))).tobytes()
STREAM = zlib.compress(RAW)
STRIDE = 145
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def plain(file: bytes, buffers: Buffers | None = None):
    structure = parse_png(memoryview(file))
    return decode_plain(structure, buffers or Buffers())


def by_opencv(file: bytes):
    structure = parse_png(memoryview(file))
    return png_decode.decode_any(structure, png_decode.needed_chunks(structure))


def filtered_file(image: np.ndarray, kinds: list[int], **options: bytes) -> bytes:
    """Return a PNG of which each row has a filter of its own."""
    height, width, channels = image.shape
    big_endian = image.astype(image.dtype.newbyteorder(">"))
    rows = np.ascontiguousarray(big_endian).view(np.uint8).reshape(height, -1)
    every = np.empty((5, height, rows.shape[1] + 1), np.uint8)
    for kind in range(5):
        filter_rows(rows, every[kind], channels * image.itemsize, kind)
    lines = b"".join(every[kind, y].tobytes() for y, kind in enumerate(kinds))
    return images.png(lines, width, height, 8 * image.itemsize, COLOUR_TYPES[channels])


def file_of(*bodies: bytes | tuple[bytes, bytes]) -> bytes:
    """Return a PNG like `IMAGE`'s, with these as the bodies of its IDAT, or other, chunks."""
    chunks = [body if isinstance(body, tuple) else (b"IDAT", body) for body in bodies]
    whole = images.png_of(IMAGE)
    head = whole[: whole.index(b"IDAT") - 4]
    return head + b"".join(images.chunk(*chunk) for chunk in chunks) + images.chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [*range(5), None])
def test_samples_are_opencvs_for_every_width(channels, bits, kind):
    random = np.random.default_rng(channels)
    for width, height in ((width, 7) for width in range(1, 41)):
        kinds = [kind] * height if kind is not None else random.integers(0, 5, height).tolist()
        image = random.integers(0, 2**bits, (height, width, channels)).astype(f"u{bits // 8}")
        file = filtered_file(image, kinds)
        decoded = plain(file)
        assert decoded.dtype == image.dtype
        assert (decoded == image).all()
        assert (decoded == by_opencv(file)).all()


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_filters_on_any_picture_are_undone(data):
    bits, channels = data.draw(st.sampled_from([8, 16])), data.draw(st.integers(1, 4))
    width, height = data.draw(st.sampled_from([(1, 40), (40, 1), (3, 9), (17, 5), (300, 2)]))
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = random.integers(0, 2**bits, (height, width, channels)).astype(f"u{bits // 8}")
    assert (plain(filtered_file(image, kinds)) == image).all()


@pytest.mark.parametrize("kind", [2, 4])
@pytest.mark.parametrize("size", [(50_000, 5), (1000, 300), (1, 70_000)])
def test_pictures_of_several_bands_are_put_together(size, kind):
    image = images.pixels(*size)
    decoded = plain(filtered_file(image, [kind] * size[1]))
    assert (decoded == image).all()
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


def test_a_picture_is_decoded_into_the_kept_buffer():
    buffers = Buffers()
    first = plain(images.png_of(IMAGE), buffers)
    assert np.shares_memory(first, plain(images.png_of(255 - IMAGE), buffers))
    assert (first == 255 - IMAGE).all()


def test_no_more_memory_is_taken_than_the_pixels_and_a_band():
    image = np.zeros((2000, 2000, 3), np.uint8)
    file, buffers = images.png_of(image), Buffers()
    plain(file, buffers)  # compiles
    tracemalloc.start()
    try:
        plain(file, Buffers())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < image.nbytes + 2**20


GOOD = {
    "one chunk": file_of(STREAM),
    "two": file_of(STREAM[:99], STREAM[99:]),
    "two bytes of header apart": file_of(STREAM[:1], STREAM[1:]),
    "checksum apart": file_of(STREAM[:-4], STREAM[-4:]),
    "empty ones in between": file_of(b"", STREAM[:9], b"", b"", STREAM[9:], b""),
    "one for each byte": file_of(*(bytes((byte,)) for byte in STREAM)),
    "stored": file_of(zlib.compress(RAW, 0)),
    "a suggested palette": file_of((b"PLTE", bytes(30)), STREAM),
    "transparency of another colour type": file_of((b"tRNS", b"\0"), STREAM),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_valid_stream_is_decoded_however_it_is_cut(name):
    assert (plain(GOOD[name]) == IMAGE).all()
    assert (by_opencv(GOOD[name]) == IMAGE).all()


def with_filter(kind: int, y: int) -> bytes:
    rows = bytearray(RAW)
    rows[STRIDE * y] = kind
    return zlib.compress(bytes(rows))


def with_dictionary() -> bytes:
    deflater = zlib.compressobj(zdict=RAW[:1000])
    return deflater.compress(RAW) + deflater.flush()


def flipped(at: int) -> bytes:
    return STREAM[:at] + bytes((STREAM[at] ^ 0x55,)) + STREAM[at + 1 :]


BAD = {
    "wrong checksum": file_of(flipped(len(STREAM) - 1)),
    "no checksum": file_of(STREAM[:-4]),
    "half a checksum": file_of(STREAM[:-2]),
    "ten bytes short": file_of(STREAM[:-10]),
    "half": file_of(STREAM[: len(STREAM) // 2]),
    "a byte less": file_of(zlib.compress(RAW[:-1])),
    "a row less": file_of(zlib.compress(RAW[:-STRIDE])),
    "flipped": file_of(flipped(len(STREAM) // 2)),
    "garbage": file_of(b"garbage"),
    "counting": file_of(bytes(range(256)) * 10),
    "empty": file_of(b""),
    "no chunk": file_of(),
    "dictionary": file_of(with_dictionary()),
    "no zlib header": file_of(STREAM[2:-4]),
    "gzip": file_of(gzip.compress(RAW)),
    **{
        f"filter {kind} in row {y}": file_of(with_filter(kind, y))
        for kind, y in itertools.product((5, 255), (0, 1, 16, 31))
    },
}


@pytest.mark.parametrize("name", BAD)
def test_image_data_that_contradict_themselves_are_damaged(name):
    assert plain(BAD[name]) is None
    view = memoryview(BAD[name])
    with pytest.raises(DamagedImage) as caught:
        decode_intact(parse_png(view), Buffers())
    assert caught.value.code is Code.DAMAGED_IMAGE


LONG = {
    "a byte more": file_of(zlib.compress(RAW + b"\0")),
    "twice": file_of(zlib.compress(RAW + RAW)),
    "twice, and a wrong checksum": file_of(zlib.compress(RAW + RAW)[:-1] + b"\x99"),
    "bytes behind": file_of(STREAM + b"junk"),
    "a chunk behind": file_of(STREAM, b"junk"),
}


@pytest.mark.parametrize("name", LONG)
def test_more_than_there_should_be_is_left_to_opencv_which_ignores_it(name):
    assert plain(LONG[name]) is None
    view = memoryview(LONG[name])
    assert (decode_intact(parse_png(view), Buffers()) == IMAGE).all()


def test_a_bomb_is_inflated_no_further_than_its_header_says():
    file = file_of(zlib.compress(bytes(200_000_000), 9))
    plain(images.png_of(IMAGE))  # compiles
    tracemalloc.start()
    try:
        assert plain(file) is None
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2**20


@settings(deadline=None, max_examples=150)
@given(at=st.integers(0, len(STREAM) - 1), bit=st.integers(0, 7), cut=st.integers(1, 999))
def test_what_is_decoded_of_a_changed_stream_is_what_opencv_decodes(at, bit, cut):
    changed = STREAM[:at] + bytes((STREAM[at] ^ 1 << bit,)) + STREAM[at + 1 :]
    file = file_of(*(changed[start : start + cut] for start in range(0, len(changed), cut)))
    decoded = plain(file)
    assert decoded is None or (decoded == by_opencv(file)).all()


@pytest.mark.parametrize(
    "file",
    [
        images.png(bytes(12), 3, 4, depth=4, colour_type=0),
        images.png(bytes(16), 3, 4, 8, 3, before=(images.chunk(b"PLTE", bytes(3)),)),
    ],
)
def test_other_kinds_are_left_to_opencv(file):
    assert plain(file) is None
    assert by_opencv(file) is not None


def test_interlaced_files_are_left_to_opencv():
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    file = images.png(bytes(4), 1, 1)
    file = file[:8] + images.chunk(b"IHDR", header) + file[33:]
    assert plain(file) is None
    assert by_opencv(file) is not None


def test_opencv_is_not_asked_for_a_plain_file(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    view = memoryview(images.png_of(IMAGE))
    assert (decode_intact(parse_png(view), Buffers()) == IMAGE).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_is_left_to_opencv(channels):
    key = images.chunk(b"tRNS", bytes(2 * channels))
    view = memoryview(images.png_of(images.pixels(channels=channels), before=(key,)))
    decoded = decode_intact(parse_png(view), Buffers())
    assert decoded.shape[2] == channels + 1
