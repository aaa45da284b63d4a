"""Pixels to a file, in the format asked for."""

from __future__ import annotations

from collections.abc import Callable

from imgbatch.images.bmp import write_bmp
from imgbatch.images.buffers import Buffers
from imgbatch.images.jpeg import write_jpeg
from imgbatch.images.picture import Encoded, FileFormat, Pixels, Source
from imgbatch.images.png import write_png
from imgbatch.images.tiff import write_tiff
from imgbatch.images.webp import write_webp
from imgbatch.recipe import Encoding, OutputFormat

Writer = Callable[[Pixels, Source, Encoding, Buffers], Encoded]

WRITERS: dict[FileFormat, Writer] = {
    FileFormat.JPEG: write_jpeg,
    FileFormat.PNG: write_png,
    FileFormat.TIFF: write_tiff,
    FileFormat.WEBP: write_webp,
    FileFormat.BMP: write_bmp,
}


def encode(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode pixels in the format asked for, with what their source had beside them.

    Raises
    ------
    RefusedImage
        If the format can't hold such an image.
    """
    asked = encoding.output_format
    target = source.file_format if asked is OutputFormat.KEEP else FileFormat(asked.value)
    return WRITERS[target](pixels, source, encoding, buffers)
