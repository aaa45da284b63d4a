"""Pixels to a file, in the format asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias

from imgbatch.images.buffers import Buffers
from imgbatch.images.picture import Encoded, FileFormat, Pixels, Source
from imgbatch.recipe import Encoding, OutputFormat

Writer: TypeAlias = Callable[[Pixels, Source, Encoding, Buffers], Encoded]


def encode(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode pixels in the format asked for, with what their source had beside them.

    Raises
    ------
    RefusedImage
        If the format can't hold such an image.
    """
    asked = encoding.output_format
    target = source.file_format if asked is OutputFormat.KEEP else FileFormat(asked.value)
    return writer_of(target)(pixels, source, encoding, buffers)


def writer_of(file_format: FileFormat) -> Writer:
    """Return the writer of a format, found as `imgbatch.images.inspect.reader_of` finds readers."""
    module = import_module(f"imgbatch.images.{file_format}")
    writer: Writer = getattr(module, f"write_{file_format}")
    return writer
