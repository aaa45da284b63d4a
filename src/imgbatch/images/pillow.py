"""Pillow as a decoder of last resort: everything that the faster ones can't read."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import numpy as np

from imgbatch.images.cmyk import cmyk_to_srgb
from imgbatch.images.failures import beyond_repair, damaged, probe_memory, truncated, unsupported
from imgbatch.images.picture import Pixels, Shape

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile


_COMPLAINTS = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, RuntimeError),
    *(LookupError, ArithmeticError, struct.error),
)
"""What Pillow's readers have been seen to raise over damaged files, and their kin."""


@contextmanager
def opened(
    data: bytes | bytearray | memoryview, name: str, *, is_strict: bool
) -> Iterator[ImageFile]:
    """Open an image of one named format, with Pillow's every complaint turned into ours.

    Its classes are used as they are, without `PIL.Image.open`: what that would guess and bound is
    known, and nothing that Pillow keeps for the whole process need be changed.

    Raises
    ------
    DamagedImage
        If Pillow can't open it, or the block fails to decode it.
    RefusedImage
        If Pillow says that it knows no such kind.
    """
    try:
        with _image_class(name)(io.BytesIO(data)) as image:
            yield image
    except _COMPLAINTS as error:
        if "nsupported" in str(error):
            raise unsupported(f"the {name} is of an unusual kind ({error})") from error
        if not is_strict:
            raise beyond_repair(f"the {name} can't be decoded ({error})") from error
        if "truncated" in str(error).lower():
            raise truncated(f"the {name} breaks off ({error})") from error
        raise damaged(f"the {name} can't be decoded ({error})") from error


def _image_class(name: str) -> Callable[[IO[bytes]], ImageFile]:
    if name == "BMP":
        from PIL.BmpImagePlugin import BmpImageFile

        return BmpImageFile
    if name == "JPEG":
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    return TiffImageFile


def load(image: ImageFile, shape: Shape, *, is_strict: bool) -> None:
    """Decode all pixels of an opened image or, unless `is_strict`, those that can be.

    Parameters
    ----------
    shape
        What has been checked against the limits; of a file of another size no pixel is decoded.

    Raises
    ------
    DamagedImage
        If Pillow found another size.
    OSError, ValueError, ...
        Whatever Pillow raises over damaged pixels.
    MemoryError
        If there is too little.
    """
    from PIL import Image

    if image.size != (shape.width_pixels, shape.height_pixels):
        raise damaged(f"the {image.format} has another size for its decoder than in its header")
    # Pillow would make the same memory, but hold its own bound for the whole process against it.
    image.im = Image.core.new(image.mode, image.size)  # type: ignore[attr-defined]
    try:
        image.load()
    except OSError as error:
        probe_memory(shape)
        # libtiff's decoders leave nothing of a picture that they fail at.
        if is_strict or str(error).startswith("decoder error"):
            raise
        image.tile = []
        image.load()


def load_jpeg(data: bytes, shape: Shape, icc: bytes | None, *, is_strict: bool) -> Pixels:
    """Decode ink or an unusual sampling to grey or RGB.

    Raises
    ------
    DamagedImage
        If Pillow can't decode it.
    """
    if not is_strict:
        data += b"\xff\xd9"  # the decoder waits for an end marker
    with opened(data, "JPEG", is_strict=is_strict) as image:
        load(image, shape, is_strict=is_strict)
        if image.mode == "CMYK":
            return cmyk_to_srgb(image, icc)
        return as_array(image)


def as_array(image: Image.Image, mode: str | None = None) -> Pixels:
    """Return an image's pixels as ``(height, width, channels)``, writeable, in a Pillow mode."""
    if mode not in (None, image.mode):
        image = image.convert(mode)
    pixels = np.array(image)
    return pixels.reshape(*pixels.shape[:2], -1)
