"""A file's format, size and structure, without decoding a pixel."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias

from imgbatch.images.limits import Limits
from imgbatch.images.picture import FileFormat, Source
from imgbatch.images.recognise import recognise

Reader: TypeAlias = Callable[[memoryview, Limits], Source]


def inspect(data: memoryview, limits: Limits) -> Source:
    """Check a file's size and structure, without decoding a pixel.

    Raises
    ------
    ImageError
        Of the subclass that says what is wrong with it.
    """
    limits.check_bytes(len(data))
    source = reader_of(recognise(data))(data, limits)
    limits.check_memory(source.shape)
    return source


def reader_of(file_format: FileFormat) -> Reader:
    """Return the reader of a format, ``read_FORMAT`` of the module ``FORMAT``.

    Modules are imported when a first file asks for them: all five take a worker 25 ms.
    """
    module = import_module(f"imgbatch.images.{file_format}")
    reader: Reader = getattr(module, f"read_{file_format}")
    return reader
