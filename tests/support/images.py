"""Small images of every kind, made where they are needed."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'


@cache
def profile(space: str = "sRGB") -> bytes:
    """Return a real ICC profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()  # type: ignore[arg-type]


def pixels(width: int = 48, height: int = 32, channels: int = 3, bits: int = 8) -> Any:
    """Return slopes, edges and noise, the same each time; the last channel of 2 or 4 is alpha."""
    random = np.random.default_rng(width * 1000 + height * 10 + channels)
    y, x = np.mgrid[:height, :width]
    planes = [
        (x * 3 + y * (k + 1) + 60 * ((x // 8 + y // 8 + k) % 2)) % 220 for k in range(channels)
    ]
    image = np.stack(planes, axis=2) + random.integers(0, 12, (height, width, channels))
    if bits == 16:
        return (image * 257 + random.integers(0, 257, image.shape)).astype(np.uint16)
    return image.astype(np.uint8)


def exif(orientation: int = 6, make: bytes = b"Imaginary\0") -> bytes:
    """Return an EXIF block, from its byte-order mark."""
    entries = struct.pack(">HHII", 0x010F, 2, len(make), 8 + 2 + 24 + 4)
    entries += struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return struct.pack(">2sHIH", b"MM", 42, 8, 2) + entries + b"\0\0\0\0" + make


def pillow_file(image: Any, kind: str, mode: str | None = None, **options: Any) -> bytes:
    """Return what Pillow writes of an array or an image."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image, mode)
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def jpeg(image: Any = None, **options: Any) -> bytes:
    """Return a JPEG."""
    return pillow_file(pixels() if image is None else image, "JPEG", **options)


def segment(marker: int, body: bytes) -> bytes:
    """Return a JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segments(file: bytes, *segments: bytes, keep_jfif: bool = True) -> bytes:
    """Return a JPEG with further segments behind its JFIF header, or instead of it."""
    at = 2 + 2 + int.from_bytes(file[4:6], "big") if file[2:4] == b"\xff\xe0" else 2
    return file[: at if keep_jfif else 2] + b"".join(segments) + file[at:]


def app_segments(file: bytes) -> list[bytes]:
    """Return the APPn and COM segments of a JPEG; a reader of the tests' own."""
    found, position = [], 2
    while file[position + 1] != 0xDA:
        marker = file[position + 1]
        stop = position + 2 + int.from_bytes(file[position + 2 : position + 4], "big")
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            found.append(file[position:stop])
        position = stop
    return found


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    rows: bytes,
    width: int,
    height: int,
    depth: int = 8,
    colour_type: int = 2,
    before: tuple[bytes, ...] = (),
    after: tuple[bytes, ...] = (),
) -> bytes:
    """Return a PNG of rows that have their filter bytes already."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *before,
            chunk(b"IDAT", zlib.compress(rows)),
            *after,
            chunk(b"IEND", b""),
        )
    )


def png_of(image: Any, before: tuple[bytes, ...] = (), after: tuple[bytes, ...] = ()) -> bytes:
    """Return a PNG of an array of 1 to 4 channels, 8 or 16 bits."""
    height, width, channels = image.shape
    flat = image.astype(image.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    rows = np.hstack((np.zeros((height, 1), np.uint8), flat)).tobytes()
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png(rows, width, height, 8 * image.itemsize, colour_type, before, after)


def png_chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG; a reader of the tests' own."""
    found, position = [], 8
    while position < len(file):
        length = int.from_bytes(file[position : position + 4], "big")
        found.append(
            (file[position + 4 : position + 8], file[position + 8 : position + 8 + length])
        )
        position += 12 + length
    return found


def length_bomb() -> bytes:
    """Return a PNG of 32 x 32 pixels whose image data claim to be 2 GiB."""
    header = struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"\x7f\xff\xff\xffIDATx\x9c"


def animation_with_short_frame() -> bytes:
    """Return an animated PNG with a hidden default image and a frame chunk that is too short."""
    image = pixels(64, 64, 4)
    control = struct.pack(">IIIIIHHBB", 0, 64, 64, 0, 0, 1, 10, 0, 0)
    return png_of(
        image,
        before=(chunk(b"acTL", struct.pack(">II", 2, 0)),),
        after=(chunk(b"fcTL", control), chunk(b"fdAT", b""), chunk(b"fdAT", b"\0\0\0")),
    )


def tiff(image: Any = None, **options: Any) -> bytes:
    """Return a TIFF."""
    return pillow_file(pixels() if image is None else image, "TIFF", **options)


def webp(image: Any = None, **options: Any) -> bytes:
    """Return a WebP."""
    return pillow_file(pixels() if image is None else image, "WEBP", **options)


def bmp(image: Any = None, **options: Any) -> bytes:
    """Return a BMP."""
    return pillow_file(pixels() if image is None else image, "BMP", **options)


def avif(image: Any = None, **options: Any) -> bytes:
    """Return an AVIF."""
    return pillow_file(pixels() if image is None else image, "AVIF", **options)


def animation(kind: str, **options: Any) -> bytes:
    """Return three frames in one of Pillow's formats."""
    return moving(pixels(), kind, **options)


def moving(image: Any, kind: str, **options: Any) -> bytes:
    """Return three frames in which a picture moves to the right."""
    frames = [Image.fromarray(np.roll(image, 5 * step, axis=1)) for step in range(3)]
    options = {"save_all": True, "append_images": frames[1:], "duration": [80, 120, 40]} | options
    return pillow_file(frames[0], kind, **options)


def opened(file: bytes) -> Image.Image:
    """Return a file as Pillow sees it, decoded."""
    image = Image.open(io.BytesIO(file))
    image.load()
    return image


def decoded(file: bytes) -> Any:
    """Return a file's pixels by Pillow, as ``(height, width, channels)``."""
    array = np.asarray(opened(file))
    return array.reshape(*array.shape[:2], -1)
