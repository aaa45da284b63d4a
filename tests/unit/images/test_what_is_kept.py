"""Each kind of file through the pipeline: what stands beside the pixels stays, byte for byte."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.support import heifs, images

from imgbatch.adjustment import Adjustment
from imgbatch.images.formats import FORMATS, inspect
from imgbatch.images.limits import Limits
from imgbatch.images.metadata import orientation_of
from imgbatch.images.notes import Note
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, OutputFormat, Progressive, Recipe

ADJUSTED = Recipe(Adjustment(brightness=12, contrast=20, sharpness=30))
NEUTRAL = Recipe()
TO_JPEG = Recipe(encoding=Encoding(OutputFormat.JPEG))
TO_PNG = Recipe(encoding=Encoding(OutputFormat.PNG))
STRIP = Recipe(encoding=Encoding(strip_metadata=True))


def run(file: bytes, recipe: Recipe = ADJUSTED) -> bytes:
    return Pipeline().run(file, recipe).data


def notes(file: bytes, recipe: Recipe = ADJUSTED) -> set[str]:
    return set(Pipeline().run(file, recipe).notes)


# --- JPEG -----------------------------------------------------------------------------------------

EXIF = images.segment(0xE1, b"Exif\0\0" + images.exif())
XMP = images.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + images.XMP)
EXTENDED_XMP = [
    images.segment(
        0xE1,
        b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 90_000, at) + part,
    )
    for at, part in ((0, b"a" * 60_000), (60_000, b"b" * 30_000))
]
LONG_PROFILE = images.profile() + bytes(150_000)
ICC = [
    images.segment(0xE2, b"ICC_PROFILE\0" + bytes((number + 1, 3)) + part)
    for number, part in enumerate(
        (LONG_PROFILE[:60_000], LONG_PROFILE[60_000:120_000], LONG_PROFILE[120_000:])
    )
]
IPTC = images.segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x05\x1c\x02x\0\0\0")
COMMENT = images.segment(0xFE, "größer".encode())
UNKNOWN = images.segment(0xE7, b"of a camera's own")


@pytest.mark.parametrize(
    "segments",
    [
        [EXIF],
        [XMP],
        [XMP, *EXTENDED_XMP],
        ICC,
        [IPTC],
        [COMMENT],
        [UNKNOWN],
        [EXIF, XMP, *EXTENDED_XMP, *ICC, IPTC, UNKNOWN, COMMENT, COMMENT],
    ],
    ids=["exif", "xmp", "extended xmp", "icc", "iptc", "comment", "unknown", "all"],
)
@pytest.mark.parametrize("keep_jfif", [True, False], ids=["jfif", "no jfif"])
def test_segments_of_a_jpeg_stay_byte_for_byte_and_in_order(segments, keep_jfif):
    source = images.with_segments(images.jpeg(), *segments, keep_jfif=keep_jfif)
    written = run(source)
    assert images.app_segments(written) == images.app_segments(source)
    assert images.decoded(written).shape == images.pixels().shape


def test_a_jpegs_resolution_stays():
    source = images.jpeg(dpi=(300, 299))
    assert images.opened(run(source)).info["dpi"] == (300, 299)


def test_strip_leaves_a_jpeg_its_profile_and_orientation_alone():
    source = images.with_segments(images.jpeg(), EXIF, XMP, *ICC, IPTC, COMMENT)
    written = images.opened(run(source, STRIP))
    assert written.info["icc_profile"] == LONG_PROFILE
    assert dict(written.getexif()) == {0x0112: 6}
    assert "xmp" not in written.info
    assert "comment" not in written.info


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_neither_pixels_nor_tag_are_turned(kind, orientation):
    picture = Image.fromarray(images.pixels())
    tag = Image.Exif()
    tag[0x0112] = orientation
    faithful = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = faithful.get(kind, {})
    source = images.pillow_file(picture, kind, exif=tag, **options)
    written = run(source, NEUTRAL)
    assert Image.open(io.BytesIO(written)).getexif()[0x0112] == orientation
    before, after = images.decoded(source).astype(int), images.decoded(written).astype(int)
    assert before.shape == after.shape
    assert abs(before - after).mean() < (3 if kind == "JPEG" else 0.001)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("target", [TO_JPEG, TO_PNG], ids=["to jpeg", "to png"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_profile_and_xmp_go_along_to_another_format(kind, target, orientation):
    tag = Image.Exif()
    tag[0x0112] = orientation
    tag[0x010F] = "Imaginary"
    xmp = {} if kind == "PNG" else {"xmp": images.XMP}
    options = {"exif": tag, "icc_profile": images.profile()}
    if kind == "TIFF":
        xmp, options = (
            {},
            {
                "icc_profile": images.profile(),
                "tiffinfo": {0x0112: orientation, 0x010F: "Imaginary", 700: images.XMP},
            },
        )
    source = images.pillow_file(Image.fromarray(images.pixels()), kind, **options, **xmp)
    written = Image.open(io.BytesIO(run(source, target)))
    assert written.getexif()[0x0112] == orientation
    assert written.getexif()[0x010F] == "Imaginary"
    assert written.info["icc_profile"] == images.profile()
    if kind != "PNG":
        assert images.XMP in (
            written.info.get("xmp"),
            written.info.get("XML:com.adobe.xmp", "").encode(),
        )


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [30, 75, 92, 100])
def test_tables_sampling_and_scans_of_a_jpeg_stay(subsampling, progressive, quality):
    source = images.jpeg(quality=quality, subsampling=subsampling, progressive=progressive)
    before, after = images.opened(source), images.opened(run(source))
    assert after.quantization == before.quantization
    assert after.layer == before.layer
    assert after.info.get("progressive", 0) == before.info.get("progressive", 0)


def test_tables_of_no_standard_quality_stay():
    random = np.random.default_rng(3)
    tables = [random.integers(1, 60, 64).tolist() for _ in range(2)]
    source = images.jpeg(qtables=tables, subsampling="4:2:0")
    assert images.opened(run(source)).quantization == images.opened(source).quantization


@pytest.mark.parametrize("asked", [Progressive.YES, Progressive.NO])
@pytest.mark.parametrize("was", [False, True])
def test_progressive_can_be_asked_for(asked, was):
    source = images.jpeg(progressive=was)
    written = images.opened(run(source, Recipe(encoding=Encoding(progressive=asked))))
    assert bool(written.info.get("progressive")) is (asked is Progressive.YES)


# --- PNG ------------------------------------------------------------------------------------------

PROFILE_CHUNK = images.chunk(b"iCCP", b"profile\0\0" + zlib.compress(images.profile()))
BEFORE = (
    images.chunk(b"gAMA", struct.pack(">I", 45455)),
    images.chunk(
        b"cHRM", struct.pack(">8I", *(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    ),
    images.chunk(b"cICP", bytes((12, 13, 0, 1))),
    PROFILE_CHUNK,
    images.chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
    images.chunk(b"eXIf", images.exif()),
    images.chunk(b"tEXt", b"Title\0of a picture"),
    images.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"long" * 50)),
    images.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + images.XMP),
    images.chunk(b"bKGD", bytes((0, 1, 0, 2, 0, 3))),
    images.chunk(b"sBIT", bytes((8, 8, 8))),
    images.chunk(b"teSt", b"safe to copy"),
)
AFTER = (
    images.chunk(b"tIME", bytes((7, 230, 1, 2, 3, 4, 5))),
    images.chunk(b"tEXt", b"Author\0somebody"),
)


def ancillary(file: bytes) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
    chunks = images.png_chunks(file)
    at = [kind for kind, _ in chunks].index(b"IDAT")
    before = [c for c in chunks[:at] if c[0][0] & 0x20]
    return before, [c for c in chunks[at:] if c[0][0] & 0x20]


@pytest.mark.parametrize("bits", [8, 16])
def test_chunks_of_a_png_stay_byte_for_byte_and_in_place(bits):
    source = images.png_of(images.pixels(bits=bits), before=BEFORE, after=AFTER)
    written = run(source)
    assert ancillary(written) == ancillary(source)
    assert not notes(source)
    assert images.opened(written).info["icc_profile"] == images.profile()


def test_chunks_that_depend_on_the_pixels_are_dropped_and_noted():
    source = images.png_of(images.pixels(), before=(images.chunk(b"teST", b"unsafe to copy"),))
    assert notes(source) == {"metadata-dropped"}
    assert ancillary(run(source)) == ([], [])


def test_a_chunk_with_a_wrong_checksum_is_dropped_and_noted():
    broken = bytearray(images.chunk(b"tEXt", b"Title\0of a picture"))
    broken[-1] ^= 1
    source = images.png_of(images.pixels(), before=(bytes(broken), PROFILE_CHUNK))
    assert notes(source) == {"metadata-damaged"}
    assert [kind for kind, _ in ancillary(run(source))[0]] == [b"iCCP"]


def test_strip_leaves_a_png_what_its_colours_mean_and_the_orientation():
    source = images.png_of(images.pixels(), before=BEFORE, after=AFTER)
    kinds = [kind for kind, _ in ancillary(run(source, STRIP))[0]]
    assert kinds == [b"gAMA", b"cHRM", b"cICP", b"iCCP", b"eXIf"]
    assert dict(images.opened(run(source, STRIP)).getexif()) == {0x0112: 6}
    assert ancillary(run(source, STRIP))[1] == []


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_depth_channels_and_every_sample_of_a_png_stay(channels, bits):
    source = images.png_of(images.pixels(channels=channels, bits=bits))
    header = images.png_chunks(run(source, NEUTRAL))[0][1]
    assert header == images.png_chunks(source)[0][1]
    assert (images.decoded(run(source, NEUTRAL)) == images.decoded(source)).all()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_never_adjusted(channels, bits):
    import cv2

    image = images.pixels(channels=channels, bits=bits)
    adjusted = cv2.imdecode(
        np.frombuffer(run(images.png_of(image)), np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert (adjusted[:, :, 3] == image[:, :, -1]).all()
    assert not (adjusted[:, :, 0] == image[:, :, 0]).all()


def test_a_palette_becomes_colours_and_its_transparency_alpha():
    palette = Image.fromarray(images.pixels()).quantize(16)
    source = images.pillow_file(palette, "PNG", transparency=bytes(range(0, 256, 16)))
    written = images.opened(run(source, NEUTRAL))
    assert written.mode == "RGBA"
    assert (np.asarray(written) == np.asarray(images.opened(source).convert("RGBA"))).all()
    assert notes(source) == {"palette-expanded"}


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_of_grey_become_eight(depth):
    width, height, highest = 32, 5, 2**depth - 1
    levels = np.arange(width * height).reshape(height, width) % (highest + 1)
    bits = ((levels[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
    packed = np.packbits(bits.reshape(height, -1), axis=1)
    rows = np.hstack((np.zeros((height, 1), np.uint8), packed)).tobytes()
    key = images.chunk(b"tRNS", struct.pack(">H", 1))
    source = images.png(rows, width, height, depth, 0, before=(key,))
    written = np.asarray(images.opened(run(source, NEUTRAL)))
    assert (written[:, :, 0] == levels * (255 // highest)).all()
    assert (written[:, :, 1] == np.where(levels == 1, 0, 255)).all()
    assert notes(source) == {"depth-expanded"}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_becomes_alpha(channels, bits):
    import cv2

    image = images.pixels(channels=channels, bits=bits)
    key = image[3, 4]
    chunk = images.chunk(b"tRNS", struct.pack(f">{channels}H", *key.tolist()))
    written = run(images.png_of(image, before=(chunk,)), NEUTRAL)
    decoded = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = np.where((image == key).all(axis=2), 0, np.iinfo(image.dtype).max)
    assert (decoded[:, :, 3] == expected).all()


def test_an_interlaced_png_comes_out_plain_and_the_report_says_so():
    image = Image.fromarray(images.pixels())
    rows = b""
    array = np.asarray(image)
    for x, y, dx, dy in (
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
        *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
    ):
        for row in array[y::dy, x::dx]:
            rows += b"\0" + row.tobytes()
    plain = images.png(rows, image.width, image.height)
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 1)
    source = plain[:8] + images.chunk(b"IHDR", header) + plain[33:]
    assert notes(source, NEUTRAL) == {"interlace-dropped"}
    assert (images.decoded(run(source, NEUTRAL)) == array).all()


# --- TIFF, WebP, BMP ------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_fields_and_pixels_of_a_tiff_stay(mode, compression):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    fields = {
        0x010E: "a picture",
        0x0112: 3,
        0x013B: "somebody",
        700: images.XMP,
        33723: b"\x1c\2x",
    }
    source = images.tiff(
        images.pixels(channels=channels),
        compression=compression,
        tiffinfo=fields,
        icc_profile=images.profile(),
        dpi=(300, 150),
    )
    before, after = (Image.open(io.BytesIO(file)) for file in (source, run(source, NEUTRAL)))
    for tag in (*fields, 34675, 282, 283, 296):
        assert after.tag_v2[tag] == before.tag_v2[tag]
    assert (images.decoded(run(source, NEUTRAL)) == images.decoded(source)).all()
    is_kept = compression in (None, "tiff_adobe_deflate")
    assert notes(source) == (set() if is_kept else {"compression-changed"})


def test_a_lossless_webp_stays_lossless_with_all_its_chunks():
    source = images.webp(
        images.pixels(channels=4),
        lossless=True,
        exact=True,
        exif=images.exif(),
        xmp=images.XMP,
        icc_profile=images.profile(),
    )
    written = run(source, NEUTRAL)
    assert (images.decoded(written) == images.decoded(source)).all()
    before, after = images.opened(source).info, images.opened(written).info
    assert {k: after[k] for k in ("exif", "xmp", "icc_profile")} == {
        k: before[k] for k in ("exif", "xmp", "icc_profile")
    }


@pytest.mark.parametrize("quality", [40, 75, 90])
def test_a_lossy_webp_keeps_about_its_size(quality):
    source = images.webp(images.pixels(256, 192), quality=quality)
    assert 0.8 < len(run(source, NEUTRAL)) / len(source) < 1.2
    assert notes(source) == {"quality-estimated"}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_and_resolution_of_a_bmp_stay(channels):
    source = images.bmp(images.pixels(37, 21, channels), dpi=(300, 300))
    written = run(source, NEUTRAL)
    assert (images.decoded(written) == images.decoded(source)).all()
    assert images.opened(written).mode == images.opened(source).mode
    assert images.opened(written).info["dpi"] == images.opened(source).info["dpi"]


# --- by another program ---------------------------------------------------------------------------

if shutil.which("exiftool"):

    def metadata_by_exiftool(file: bytes) -> dict[str, str]:
        command = [
            "exiftool",
            "-json",
            "-b",
            "-G1",
            "--File:all",
            "--System:all",
            "--Composite:all",
        ]
        command += ["--ExifTool:all", "-"]
        output = subprocess.run(command, input=file, capture_output=True, check=True).stdout
        found = json.loads(output)[0]
        layout = {"Interlace", "Compression", "StripOffsets", "StripByteCounts", "RowsPerStrip"}
        layout |= {"Predictor", "ImageWidth", "ImageHeight", "SourceFile"}
        return {k: v for k, v in found.items() if k.split(":")[-1] not in layout}

    @pytest.mark.parametrize(
        "source",
        [
            images.with_segments(images.jpeg(dpi=(72, 72)), EXIF, XMP, *ICC, IPTC, COMMENT),
            images.png_of(images.pixels(), before=BEFORE, after=AFTER),
            images.tiff(tiffinfo={0x010E: "a picture", 0x0112: 3}, icc_profile=images.profile()),
            images.webp(exif=images.exif(), xmp=images.XMP, icc_profile=images.profile()),
        ],
        ids=["jpeg", "png", "tiff", "webp"],
    )
    def test_exiftool_finds_the_same_in_input_and_output(source):
        assert metadata_by_exiftool(run(source)) == metadata_by_exiftool(source)


# --- notes are the truth --------------------------------------------------------------------------

NOTE_OF = {
    "exif": Note.EXIF_DROPPED,
    "xmp": Note.XMP_DROPPED,
    "icc": Note.ICC_DROPPED,
    "resolution": Note.METADATA_DROPPED,
}


def described(kind: str, size: int) -> bytes:
    """Return a file with all metadata that its format can hold, some of them of a size."""
    exif, profile = images.exif(make=b"x" * size), images.profile() + bytes(size)
    if kind == "jpeg":
        part = profile[:65_519]
        segment = images.segment(0xE2, b"ICC_PROFILE\0\1\1" + part)
        return images.with_segments(images.jpeg(dpi=(300, 300)), EXIF, XMP, segment)
    if kind == "png":
        icc = images.chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
        xmp = images.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + images.XMP + b" " * size)
        chunks = (icc, xmp, images.chunk(b"eXIf", exif), BEFORE[4])
        return images.png_of(images.pixels(), before=chunks)
    if kind == "tiff":
        info = {0x010F: "x" * size, 700: images.XMP + b" " * size, 282: 300, 283: 300, 296: 2}
        return images.tiff(tiffinfo=info, icc_profile=profile)
    if kind == "webp":
        xmp = images.XMP + b" " * size
        return images.webp(exif=exif, xmp=xmp, icc_profile=profile, lossless=True)
    if kind == "avif":
        return images.avif(exif=exif, xmp=images.XMP, icc_profile=profile)
    if kind == "gif":
        return images.pillow_file(images.pixels(), "GIF", comment=b"x")
    return heifs.sample("phone") if kind == "heif" else images.bmp(dpi=(300, 300))


@pytest.mark.parametrize("size", [1, 70_000])
@pytest.mark.parametrize("target", OutputFormat)
@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_metadata_the_output_lacks_is_noted(kind, target, size):
    file = described(kind, size)
    processed = Pipeline().run(file, Recipe(encoding=Encoding(target)))
    before, after = (
        inspect(memoryview(data), Limits()).metadata() for data in (file, processed.data)
    )
    for name, note in NOTE_OF.items():
        wanted, found = getattr(before, name), getattr(after, name)
        if name == "exif" and kind == "tiff" and found is not None:
            assert orientation_of(found) == orientation_of(wanted)
        elif name == "resolution" and wanted is not None and found is not None:
            there, here = wanted.in_unit("inch"), found.in_unit("inch")
            assert (here.x, here.y) == pytest.approx((there.x, there.y), abs=0.5)
        else:
            assert found == wanted or note in processed.notes, name
