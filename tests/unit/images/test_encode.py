from __future__ import annotations

import pytest
from tests.support import images

from imgbatch.images.buffers import Buffers
from imgbatch.images.encode import encode, writer_of
from imgbatch.images.inspect import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.picture import FileFormat
from imgbatch.images.recognise import recognise
from imgbatch.recipe import Encoding, OutputFormat

FILES = {
    FileFormat.JPEG: images.jpeg(),
    FileFormat.PNG: images.png_of(images.pixels()),
    FileFormat.TIFF: images.tiff(),
    FileFormat.WEBP: images.webp(),
    FileFormat.BMP: images.bmp(),
}


@pytest.mark.parametrize("file_format", FileFormat)
def test_every_format_has_a_writer(file_format):
    assert callable(writer_of(file_format))


@pytest.mark.parametrize("asked", OutputFormat)
@pytest.mark.parametrize("source_format", FileFormat)
def test_the_format_asked_for_is_written(source_format, asked):
    source = inspect(memoryview(FILES[source_format]), Limits())
    encoded = encode(images.pixels(), source, Encoding(asked), Buffers())
    written = recognise(memoryview(b"".join(encoded.parts)))
    assert written == (source_format if asked is OutputFormat.KEEP else asked.value)
