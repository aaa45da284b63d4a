from __future__ import annotations

import pytest
from tests.support import images

from imgbatch.errors import LimitExceeded, SkippedFile
from imgbatch.images.inspect import inspect, reader_of
from imgbatch.images.limits import Limits
from imgbatch.images.picture import FileFormat, Shape


@pytest.mark.parametrize("file_format", FileFormat)
def test_every_format_has_a_reader(file_format):
    assert callable(reader_of(file_format))


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "webp", "bmp"])
def test_size_and_format_are_known_before_a_pixel_is_decoded(kind):
    source = inspect(memoryview(getattr(images, kind)()), Limits())
    assert source.file_format == kind
    assert source.shape == Shape(48, 32, 3)


def test_bytes_are_counted_before_anything_else():
    with pytest.raises(LimitExceeded):
        inspect(memoryview(b"no image, and too long"), Limits(max_bytes=5))
    with pytest.raises(SkippedFile):
        inspect(memoryview(b"no image"), Limits())
