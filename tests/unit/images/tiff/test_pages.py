"""Files of several pages, and BigTIFFs: each page as it was, and as another reader reads it."""

from __future__ import annotations

import io
import struct
import time
from itertools import product

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.support import images, tiffs

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, DamagedImage, LimitExceeded, RefusedImage
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.tiff import tags
from imgbatch.images.tiff.container import Directory, DirectoryReader, Entry, header, serialise
from imgbatch.images.tiff.decode import MOST_PAGES
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import DamagedPolicy, Encoding, Frames, OutputFormat, Recipe
from imgbatch_kernels import reference

KINDS = [(48, 32, 3, 8), (20, 70, 1, 16), (33, 9, 4, 8), (5, 5, 3, 16), (48, 32, 1, 8)]
"""Width, height, channels and bits of pages that differ."""

PAGES = [images.pixels(*kind) for kind in KINDS]


def run(file: bytes, encoding: Encoding = Encoding(), adjustment: Adjustment | None = None):
    return Pipeline().run(file, Recipe(adjustment or Adjustment(), encoding))


def written_by_tifffile(pages: list[np.ndarray], *, bigtiff: bool = False, **options) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=bigtiff, byteorder=options.pop("order", "<")) as writer:
        for number, page in enumerate(pages):
            colours = "rgb" if page.shape[2] > 2 else "minisblack"
            extra = {"extrasamples": ["unassalpha"]} if page.shape[2] in (2, 4) else {}
            description = f"page {number}"
            writer.write(
                page if page.shape[2] > 1 else page[:, :, 0],
                photometric=colours,
                description=description,
                metadata=None,
                **extra,
                **options,
            )
    return file.getvalue()


def read_by_tifffile(file: bytes) -> list[np.ndarray]:
    with tifffile.TiffFile(io.BytesIO(file)) as opened:
        arrays = [page.asarray() for page in opened.pages]
    return [array.reshape(*array.shape[:2], -1) for array in arrays]


def directories(file: bytes) -> list[Directory]:
    return list(DirectoryReader(memoryview(file)).chain())


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_page_is_written_in_its_own_size_and_depth(bigtiff, order, compression):
    file = written_by_tifffile(PAGES, bigtiff=bigtiff, order=order, compression=compression)
    processed = run(file)
    written = read_by_tifffile(processed.data)
    assert processed.data[:4] == file[:4]
    assert processed.notes == ()
    assert len(written) == len(PAGES)
    for before, after in zip(PAGES, written, strict=True):
        assert after.dtype == before.dtype
        assert (after == before).all()
    described = [page.data(270) for page in directories(processed.data)]
    assert described == [b"page %d\0" % number for number in range(len(PAGES))]


def test_every_page_is_adjusted_for_itself():
    factors = {"brightness": 10, "contrast": 20, "sharpness": 60}
    written = read_by_tifffile(
        run(written_by_tifffile(PAGES), adjustment=Adjustment(**factors)).data
    )
    for before, after in zip(PAGES, written, strict=True):
        assert (after == reference.adjust(before, **factors).reshape(before.shape)).all()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize(("channels", "bits"), list(product([1, 3, 4], [8, 16])))
@pytest.mark.parametrize("planar", [False, True])
def test_a_bigtiff_is_read_as_another_reader_reads_it_and_stays_one(
    order, tile, channels, bits, planar
):
    picture = images.pixels(41, 37, channels, bits)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.moveaxis(picture, 2, 0) if planar and channels > 1 else picture.squeeze(),
        bigtiff=True,
        byteorder=order,
        tile=tile,
        photometric="rgb" if channels > 1 else "minisblack",
        planarconfig=("separate" if planar else "contig") if channels > 1 else None,
        extrasamples=["unassalpha"] if channels == 4 else None,
        metadata=None,
    )
    written = run(file.getvalue()).data
    assert written[:4] == file.getvalue()[:4]
    assert (read_by_tifffile(written)[0] == picture).all()


def test_two_other_readers_find_the_pages_of_a_bigtiff():
    pages = [images.pixels(30, 20), images.pixels(10, 40)]
    written = run(written_by_tifffile(pages, bigtiff=True, compression="zlib")).data
    opened = Image.open(io.BytesIO(written))
    assert opened.n_frames == 2
    for number, page in enumerate(pages):
        opened.seek(number)
        assert (np.asarray(opened) == page).all()


@pytest.mark.parametrize("kind", [4, 13, 16])
def test_what_stands_beside_the_pixels_of_a_bigtiff_stays_and_goes_along(kind):
    file = io.BytesIO()
    Image.fromarray(images.pixels()).save(
        file,
        "TIFF",
        big_tiff=True,
        tiffinfo={271: "Imaginary", 274: 6},
        icc_profile=images.profile(),
        dpi=(300, 150),
    )
    (old,) = directories(file.getvalue())
    exposure = Directory("<", {0x829A: Entry(5, struct.pack("<II", 1, 2))}, is_big=True)
    pointer = Entry(kind, bytes(4 if kind < 16 else 8), exposure)
    start = len(file.getvalue()) + len(file.getvalue()) % 2
    directory = serialise(Directory("<", {**old.entries, 0x8769: pointer}, is_big=True), start)
    padding = bytes(len(file.getvalue()) % 2)
    data = header("<", start, is_big=True) + file.getvalue()[16:] + padding + directory
    for encoding in (Encoding(), Encoding(OutputFormat.JPEG), Encoding(OutputFormat.PNG)):
        written = Image.open(io.BytesIO(run(data, encoding).data))
        found = written.getexif()
        assert (found[274], found[271]) == (6, "Imaginary")
        assert found.get_ifd(0x8769)[0x829A] == 0.5
        assert written.info["icc_profile"] == images.profile()
        assert written.info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_the_first_page_alone_can_be_asked_for():
    processed = run(written_by_tifffile(PAGES), Encoding(frames=Frames.FIRST))
    (only,) = read_by_tifffile(processed.data)
    assert (only == PAGES[0]).all()
    assert processed.notes == ("frames-dropped",)
    shrunk = run(written_by_tifffile(PAGES), Encoding(OutputFormat.JPEG, frames=Frames.FIRST))
    assert images.decoded(shrunk.data).shape == PAGES[0].shape


@pytest.mark.parametrize("asked", [OutputFormat.JPEG, OutputFormat.PNG])
def test_pages_are_not_made_a_picture_or_an_animation(asked):
    with pytest.raises(RefusedImage, match=r"5 pages .*--frames first") as caught:
        run(written_by_tifffile(PAGES), Encoding(asked))
    assert caught.value.code is Code.ANIMATED_IMAGE


def test_previews_among_pages_are_dropped_and_noted():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page, kind in ((PAGES[0], 2), (images.pixels(8, 8), 1), (PAGES[0], 2)):
            writer.write(page, photometric="rgb", subfiletype=kind, metadata=None)
    new, old = (struct.pack("<HHII", *field) for field in ((254, 4, 1, 1), (255, 4, 1, 2)))
    assert file.getvalue().count(new) == 1
    for data in (file.getvalue(), file.getvalue().replace(new, old)):
        processed = run(data)
        assert processed.notes == ("embedded-pictures-dropped",)
        assert [page.number(tags.SUBFILE_KIND) for page in directories(processed.data)] == [2, 2]


def test_pages_of_every_kind_of_compression_keep_theirs_or_are_deflated():
    pages = [
        images.tiff(images.pixels(40, 30), compression=kind)
        for kind in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")
    ]
    file = io.BytesIO()
    first, *others = [Image.open(io.BytesIO(page)) for page in pages]
    first.save(file, "TIFF", save_all=True, append_images=others)
    processed = run(file.getvalue())
    assert len(read_by_tifffile(processed.data)) == 4
    assert set(processed.notes) <= {"compression-changed"}


# --- What is too much, or not what it says --------------------------------------------------------


def test_pages_that_follow_each_other_in_a_circle_are_damage():
    file = bytearray(written_by_tifffile(PAGES[:3]))
    (first,) = struct.unpack_from("<I", file, 4)
    last = directories(bytes(file))[1].following
    count = struct.unpack_from("<H", file, last)[0]
    struct.pack_into("<I", file, last + 2 + 12 * count, first)
    with pytest.raises(DamagedImage, match="circle"):
        run(bytes(file))


def many_pages(count: int, width: int = 1, height: int = 1) -> bytes:
    """Return a file of so many directories, all of the same bytes of one grey picture."""
    fields = [
        *((256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)),
        *((273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, width * height)),
    ]
    start = 8 + width * height + width * height % 2
    file = bytearray(struct.pack("<2sHI", b"II", 42, start) + bytes(start - 8))
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in fields)
    size = 2 + len(table) + 4
    for number in range(count):
        following = start + (number + 1) * size if number + 1 < count else 0
        file += struct.pack("<H", len(fields)) + table + struct.pack("<I", following)
    return bytes(file)


def test_more_pages_than_any_file_has_are_refused_before_all_are_read():
    file = many_pages(8 * MOST_PAGES)
    before = time.process_time()
    with pytest.raises(RefusedImage, match="25000 pages"):
        run(file)
    assert time.process_time() - before < 10


def test_each_page_counts_as_pixels_though_it_has_one():
    with pytest.raises(LimitExceeded, match="300 frames") as caught:
        inspect(memoryview(many_pages(300)), Limits(max_pixels=2_000_000))
    assert caught.value.code is Code.TOO_MANY_PIXELS
    inspect(memoryview(many_pages(300)), Limits(max_pixels=3_000_000))


def test_all_pages_pixels_are_counted_before_one_is_decoded():
    file = written_by_tifffile([images.pixels(8, 8), images.pixels(400, 300), images.pixels(8, 8)])
    with pytest.raises(LimitExceeded):
        inspect(memoryview(file), Limits(max_pixels=139_000))
    inspect(memoryview(file), Limits(max_pixels=170_000))
    inspect(memoryview(file), Limits(max_pixels=64), Frames.FIRST)


def test_strips_that_share_their_bytes_cannot_multiply_them():
    layout = tiffs.Layout(compression=tiffs.DEFLATE, rows_per_strip=1)
    file = bytearray(tiffs.tiff(images.pixels(8, 300, 1), layout))
    (page,) = directories(bytes(file))
    for tag, value in ((tags.STRIP_OFFSETS, 8), (tags.STRIP_SIZES, len(file) - 8)):
        at = file.index(page.data(tag))
        file[at : at + 1200] = struct.pack("<I", value) * 300
    with pytest.raises(DamagedImage, match="over each other"):
        run(bytes(file))


@pytest.mark.parametrize("kind", ["float32", "float16", "float64", "int8", "int16", "int32"])
def test_signed_and_floating_samples_are_refused_and_the_sentence_says_what_to_do(kind):
    file = written_by_tifffile([np.ones((9, 9, 3), kind)])
    with pytest.raises(RefusedImage, match="convert them to unsigned ones of 8 or 16 bits"):
        run(file)


def test_a_page_of_a_kind_that_is_not_read_fails_the_file():
    file = written_by_tifffile([PAGES[0], np.ones((9, 9, 3), np.float32)])
    with pytest.raises(RefusedImage, match="floating-point"):
        run(file)


def test_a_page_that_breaks_off_fails_the_file_or_is_salvaged():
    whole = written_by_tifffile([images.pixels(40, 30), images.pixels(40, 30)])
    old = directories(whole)
    at = whole.index(old[1].entries[tags.STRIP_OFFSETS].value, 8 + 3600)
    behind = len(whole) - 1000
    file = whole[:at] + struct.pack("<I", behind) + whole[at + 4 :]
    with pytest.raises(DamagedImage, match="shorter"):
        run(file)
    processed = run(file, Encoding(damaged=DamagedPolicy.SALVAGE))
    assert processed.notes == ("salvaged",)
    first, second = read_by_tifffile(processed.data)
    assert (first == images.pixels(40, 30)).all()
    assert not second[-10:].any()


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("damaged", DamagedPolicy)
def test_wherever_a_file_of_pages_ends_too_early_it_is_damage_or_salvaged(bigtiff, damaged):
    pages = [images.pixels(5, 4), images.pixels(3, 7, 1, 16)]
    file = written_by_tifffile(pages, bigtiff=bigtiff)
    for size in range(4, len(file)):
        try:
            processed = run(file[:size], Encoding(damaged=damaged))
        except DamagedImage:
            continue
        assert damaged is DamagedPolicy.SALVAGE
        assert "salvaged" in processed.notes
