"""Pillow as a decoder of last resort: everything that the faster ones can't read."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from imgbatch.images.cmyk import cmyk_to_srgb
from imgbatch.images.failures import beyond_repair, damaged, truncated, unsupported
from imgbatch.images.picture import Pixels

if TYPE_CHECKING:
    from PIL import Image


_COMPLAINTS = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, RuntimeError),
    *(LookupError, ArithmeticError, struct.error),
)
"""What Pillow's readers have been seen to raise over damaged files, and their kin."""

_settings = threading.RLock()


class ViewFile(io.RawIOBase):
    """A file over a memoryview: Pillow reads what it needs, and the rest is not copied."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Copy the next bytes into a buffer."""
        part = self._view[self._position : self._position + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._view)}
        self._position = max(0, base[whence] + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position


@contextmanager
def opened(data: memoryview, name: str, *, is_strict: bool) -> Iterator[Image.Image]:
    """Open an image of one named format, with Pillow's every complaint turned into ours.

    Raises
    ------
    DamagedImage
        If Pillow can't open it, or the block fails to decode it.
    RefusedImage
        If Pillow says that it knows no such kind.
    """
    from PIL import Image

    try:
        with (
            _pillow_settings(is_tolerant=not is_strict),
            Image.open(io.BufferedReader(ViewFile(data)), formats=(name,)) as image,
        ):
            yield image
    except _COMPLAINTS as error:
        if "nsupported" in str(error):
            raise unsupported(f"the {name} is of an unusual kind ({error})") from error
        if not is_strict:
            raise beyond_repair(f"the {name} can't be decoded ({error})") from error
        if "truncated" in str(error):
            raise truncated(f"the {name} breaks off ({error})") from error
        raise damaged(f"the {name} can't be decoded ({error})") from error


@contextmanager
def _pillow_settings(*, is_tolerant: bool) -> Iterator[None]:
    """Set what Pillow keeps for the whole process, one thread at a time, and set it back.

    Sizes have been checked against the limits, so Pillow's own bound on pixels, which is meant
    for those who have not looked, does not apply.
    """
    from PIL import Image, ImageFile

    with _settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bound, tolerant = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, is_tolerant
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = bound, tolerant


def load_jpeg(data: memoryview, icc: bytes | None, *, is_strict: bool) -> Pixels:
    """Decode ink or an unusual sampling to grey or RGB.

    Raises
    ------
    DamagedImage
        If Pillow can't decode it.
    """
    with opened(data, "JPEG", is_strict=is_strict) as image:
        image.load()
        if image.mode == "CMYK":
            return cmyk_to_srgb(image, icc)
        return as_array(image)


def as_array(image: Image.Image) -> Pixels:
    """Return an image's pixels as ``(height, width, channels)``, writeable."""
    pixels = np.array(image)
    return pixels.reshape(*pixels.shape[:2], -1)
