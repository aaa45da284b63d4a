from __future__ import annotations

import io
import struct
import time

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.support import images, tiffs

from imgbatch.errors import Code, DamagedImage, RefusedImage, SkippedFile
from imgbatch.images.metadata import Resolution
from imgbatch.images.tiff import tags
from imgbatch.images.tiff.container import (
    Directory,
    DirectoryReader,
    Entry,
    header,
    longs,
    serialise,
    shorts,
)
from imgbatch.images.tiff.decode import read as read_tiff
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat, PngLevel, Recipe


def first_directory(file: memoryview) -> Directory:
    return next(DirectoryReader(file).chain())


def read(file: bytes):
    return read_tiff(memoryview(file))


def run(file: bytes, encoding: Encoding = Encoding()):
    return Pipeline().run(file, Recipe(encoding=encoding))


def with_fields(file: bytes, fields: dict[int, Entry | None], following: int = 0) -> bytes:
    """Return a TIFF with another directory, behind the old file."""
    old = first_directory(memoryview(file))
    entries = {tag: entry for tag, entry in {**old.entries, **fields}.items() if entry is not None}
    start = len(file) + len(file) % 2
    directory = bytearray(serialise(Directory(old.order, entries), start))
    struct.pack_into(f"{old.order}I", directory, 2 + 12 * len(entries), following)
    return header(old.order, start) + file[8:] + b"\0" * (len(file) % 2) + bytes(directory)


def deep(channels: int, compression: int = 1) -> tuple[bytes, np.ndarray]:
    image = images.pixels(channels=channels, bits=16)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    file = cv2.imencode(".tiff", np.ascontiguousarray(image[:, :, order]), options)[1].tobytes()
    if channels == 4:
        file = with_fields(file, {tags.EXTRA_SAMPLES: shorts("<", 2)})
    return file, image


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay_sixteen_bits_as_they_are_stored(channels, compression, orientation):
    file, image = deep(channels, compression)
    file = with_fields(file, {274: shorts("<", orientation)})
    written = run(file).data
    assert first_directory(memoryview(written)).number(274) == orientation
    upright = with_fields(written, {274: None})
    decoded = cv2.imdecode(np.frombuffer(upright, np.uint8), cv2.IMREAD_UNCHANGED)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert (decoded.reshape(image.shape)[:, :, order] == image).all()


def test_motorola_byte_order_stays():
    image = images.pixels(channels=1, bits=16)
    file = images.pillow_file(
        Image.frombytes("I;16B", (48, 32), image.astype(">u2").tobytes()), "TIFF"
    )
    if file[:2] != b"MM":
        start = 8 + image.nbytes
        entries = {
            tags.WIDTH: longs(">", 48),
            tags.HEIGHT: longs(">", 32),
            tags.BITS: shorts(">", 16),
            tags.COMPRESSION: shorts(">", 1),
            tags.PHOTOMETRIC: shorts(">", 1),
            tags.STRIP_OFFSETS: longs(">", 8),
            tags.SAMPLES: shorts(">", 1),
            tags.ROWS_PER_STRIP: longs(">", 32),
            tags.STRIP_SIZES: longs(">", image.nbytes),
        }
        pixels = image.astype(">u2").tobytes()
        file = header(">", start) + pixels + serialise(Directory(">", entries), start)
    written = run(file).data
    assert written[:2] == b"MM"
    decoded = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (decoded == image[:, :, 0]).all()


@pytest.mark.parametrize("level", PngLevel)
def test_deflated_strips_are_found_again_by_two_decoders(level):
    image = images.pixels(300, 900)
    file = images.tiff(image, compression="tiff_adobe_deflate")
    written = run(file, Encoding(png_level=level)).data
    assert (images.decoded(written) == image).all()
    by_opencv = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (by_opencv[:, :, ::-1] == image).all()
    assert len(first_directory(memoryview(written)).numbers(tags.STRIP_OFFSETS)) > 1


def test_two_levels_become_grey():
    bits = Image.fromarray(images.pixels()).convert("1")
    processed = run(images.pillow_file(bits, "TIFF"))
    assert (images.decoded(processed.data)[:, :, 0] == np.asarray(bits.convert("L"))).all()
    assert processed.notes == ("depth-expanded",)


def test_a_palette_becomes_colours():
    palette = Image.fromarray(images.pixels()).quantize(16)
    processed = run(images.pillow_file(palette, "TIFF"))
    assert (images.decoded(processed.data) == np.asarray(palette.convert("RGB"))).all()
    assert processed.notes == ("palette-expanded",)


def test_ink_becomes_srgb_and_its_profile_goes():
    ink = Image.fromarray(images.pixels()).convert("CMYK")
    processed = run(images.pillow_file(ink, "TIFF", icc_profile=images.profile()))
    assert images.opened(processed.data).mode == "RGB"
    assert "icc_profile" not in images.opened(processed.data).info
    assert processed.notes == ("cmyk-converted",)


def test_strip_leaves_profile_and_orientation():
    fields = {270: "a picture", 274: 6, 700: images.XMP}
    file = images.tiff(tiffinfo=fields, icc_profile=images.profile(), dpi=(300, 300))
    written = Image.open(io.BytesIO(run(file, Encoding(strip_metadata=True)).data))
    assert written.info["icc_profile"] == images.profile()
    assert written.tag_v2[274] == 6
    assert not {270, 700, 282, 283} & set(written.tag_v2)


def test_what_follows_to_another_format():
    fields = {271: "Imaginary", 274: 6, 700: images.XMP, 33723: b"\x1c\2x"}
    source = read(images.tiff(tiffinfo=fields, icc_profile=images.profile(), dpi=(300, 150)))
    portable = source.metadata()
    assert portable.xmp == images.XMP
    assert portable.icc == images.profile()
    assert portable.resolution == Resolution(300, 150, "inch")
    assert portable.has_more
    exif = Image.Exif()
    exif.load(portable.exif)
    assert (exif[271], exif[274]) == ("Imaginary", 6)


def test_exif_within_a_tiff_goes_along_with_its_own_directory():
    exposure = Directory("<", {0x829A: Entry(5, struct.pack("<II", 1, 2))})
    pointer = Entry(4, bytes(4), exposure)
    file = with_fields(images.tiff(), {274: shorts("<", 3), 0x8769: pointer})
    for encoding in (Encoding(), Encoding(OutputFormat.JPEG), Encoding(OutputFormat.PNG)):
        found = Image.open(io.BytesIO(run(file, encoding).data)).getexif()
        assert found[274] == 3
        assert found.get_ifd(0x8769)[0x829A] == 0.5


def pages(*kinds: int) -> bytes:
    """Return a TIFF of further pages, each of a NewSubfileType."""
    file = images.tiff()
    following = 0
    for kind in kinds:
        file = with_fields(file, {tags.SUBFILE_KIND: longs("<", kind)}, following)
        following = struct.unpack_from("<I", file, 4)[0]
    return with_fields(file, {tags.SUBFILE_KIND: longs("<", 0)}, following)


def test_previews_are_dropped_and_noted():
    assert run(pages(1, 1)).notes == ("embedded-pictures-dropped",)


@pytest.mark.parametrize(
    "fields",
    [{50706: Entry(1, b"\1\4\0\0")}, {33421: shorts("<", 2, 2)}, {254: longs("<", 1)}],
    ids=["dng", "colour filter", "preview first"],
)
def test_a_cameras_raw_file_is_skipped(fields):
    with pytest.raises(SkippedFile) as caught:
        read(with_fields(images.tiff(), fields))
    assert caught.value.code is Code.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "fields",
    [
        {tags.BITS: shorts("<", 32, 32, 32)},
        {tags.BITS: shorts("<", 8, 8, 16)},
        {tags.PHOTOMETRIC: shorts("<", 8)},
        {tags.PHOTOMETRIC: shorts("<", 9999)},
        {tags.SAMPLES: shorts("<", 6)},
        {tags.SAMPLES: shorts("<", 4)},
        {tags.SAMPLE_FORMAT: shorts("<", 3, 3, 3)},
        {tags.BITS: shorts("<", 16, 16, 16), tags.PHOTOMETRIC: shorts("<", 6)},
    ],
)
def test_samples_of_an_unusual_kind_are_refused(fields):
    with pytest.raises(RefusedImage) as caught:
        read(with_fields(images.tiff(), fields))
    assert caught.value.code is Code.UNSUPPORTED_IMAGE


@pytest.mark.parametrize(
    "fields",
    [
        {tags.WIDTH: None},
        {tags.HEIGHT: longs("<", 0)},
        {tags.TILE_WIDTH: longs("<", 60_000), tags.TILE_HEIGHT: longs("<", 60_000)},
    ],
)
def test_sizes_that_make_no_sense_are_damage(fields):
    with pytest.raises(DamagedImage):
        read(with_fields(images.tiff(), fields))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("compression", list(tiffs.COMPRESSORS))
@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_layout_is_read_as_another_reader_reads_it_or_refused(
    bits, channels, planar, tiled, compression, predictor, order
):
    picture = images.pixels(41, 37, channels, bits)
    layout = tiffs.Layout(order, planar, tiled, predictor, compression)
    file = tiffs.tiff(picture, layout)
    has_no_predictor = compression in (tiffs.NONE, tiffs.PACKBITS)
    if compression != tiffs.LZW and not (predictor and has_no_predictor):
        there = tifffile.imread(io.BytesIO(file))
        there = np.moveaxis(there, 0, -1) if planar and channels > 1 else there
        assert (there.reshape(picture.shape) == picture).all()
    if (predictor and has_no_predictor) or (bits == 16 and channels == 2 and not planar):
        with pytest.raises(RefusedImage):
            read(file)
        return
    written = run(file).data
    assert (tifffile.imread(io.BytesIO(written)).reshape(picture.shape) == picture).all()


@pytest.mark.parametrize("lossless", ["tiff_lzw", "packbits"])
def test_the_second_readers_own_compressions_are_read_too(lossless):
    picture = images.pixels(300, 200)
    assert (images.decoded(run(images.tiff(picture, compression=lossless)).data) == picture).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_size_that_stands_there_twice_is_not_believed(bits):
    large = [tiffs.field("<", tag, "I", 12_000) for tag in (256, 257)]
    file = tiffs.tiff(images.pixels(16, 16, 3, bits), extra=large)
    with pytest.raises(DamagedImage, match="twice"):
        read(file)


def test_directories_that_repeat_each_other_cost_no_time():
    fields = [tiffs.field("<", 34665, "I", 8)] * 300
    file = struct.pack("<2sHI", b"II", 42, 8) + tiffs.directory("<", 8, fields)
    before = time.process_time()
    with pytest.raises(DamagedImage):
        read(file)
    assert time.process_time() - before < 1


@pytest.mark.parametrize("bits", [8, 16])
def test_rows_behind_the_end_are_missed_and_salvaged_as_black(bits):
    picture = images.pixels(bits=bits)
    old = tiffs.tiff(picture, tiffs.Layout(rows_per_strip=32))
    directory = first_directory(memoryview(old))
    start = 8 + len(serialise(directory, 8))
    entries = {**directory.entries, tags.STRIP_OFFSETS: longs("<", start)}
    file = header("<", 8) + serialise(Directory("<", entries), 8) + old[8 : 8 + picture.nbytes]
    row_bytes = picture.nbytes // 32
    with pytest.raises(DamagedImage, match="shorter"):
        run(file[: -2 * row_bytes])
    processed = run(file[: -2 * row_bytes], Encoding(damaged=DamagedPolicy.SALVAGE))
    assert processed.notes == ("salvaged",)
    written = tifffile.imread(io.BytesIO(processed.data))
    assert (written[:30] == picture[:30]).all()
    assert not written[30:].any()
