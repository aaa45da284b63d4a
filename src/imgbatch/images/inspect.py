"""A file's format, size and structure, without decoding a pixel."""

from __future__ import annotations

from collections.abc import Callable

from imgbatch.images.bmp import read_bmp
from imgbatch.images.jpeg import read_jpeg
from imgbatch.images.limits import Limits
from imgbatch.images.picture import FileFormat, Source
from imgbatch.images.png import read_png
from imgbatch.images.recognise import recognise
from imgbatch.images.tiff import read_tiff
from imgbatch.images.webp import read_webp

Reader = Callable[[memoryview, Limits], Source]

READERS: dict[FileFormat, Reader] = {
    FileFormat.JPEG: read_jpeg,
    FileFormat.PNG: read_png,
    FileFormat.TIFF: read_tiff,
    FileFormat.WEBP: read_webp,
    FileFormat.BMP: read_bmp,
}


def inspect(data: memoryview, limits: Limits) -> Source:
    """Check a file's size and structure, without decoding a pixel.

    Raises
    ------
    ImageError
        Of the subclass that says what is wrong with it.
    """
    limits.check_bytes(len(data))
    return READERS[recognise(data)](data, limits)
