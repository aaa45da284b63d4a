"""Pillow as a decoder of last resort: everything that the faster ones can't read."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from imgbatch.images.cmyk import cmyk_to_srgb
from imgbatch.images.failures import beyond_repair, damaged, probe_memory, truncated, unsupported
from imgbatch.images.picture import Pixels, Shape

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile


_COMPLAINTS = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, RuntimeError),
    *(LookupError, ArithmeticError, struct.error),
)
"""What Pillow's readers have been seen to raise over damaged files, and their kin."""


_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


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
        with _open(data, name) as image:
            yield image
    except _COMPLAINTS as error:
        if "nsupported" in str(error):
            raise unsupported(f"the {name} is of an unusual kind ({error})") from error
        if not is_strict:
            raise beyond_repair(f"the {name} can't be decoded ({error})") from error
        if "truncated" in str(error).lower():
            raise truncated(f"the {name} breaks off ({error})") from error
        raise damaged(f"the {name} can't be decoded ({error})") from error


def _open(data: bytes | bytearray | memoryview, name: str) -> ImageFile:
    plugin = import_module(f"PIL.{name.capitalize()}ImagePlugin")
    image: ImageFile = getattr(plugin, f"{name.capitalize()}ImageFile")(io.BytesIO(data))
    return image


def decode_by_pillow(
    data: bytes | memoryview, name: str, shape: Shape, *, is_strict: bool, icc: bytes | None = None
) -> Pixels:
    """Decode a file to as many channels as `shape` says; inks through their profile to RGB.

    Parameters
    ----------
    shape
        What has been checked against the limits; of a file of another size no pixel is decoded.
    is_strict
        Whether all pixels must be there, or those that can be decoded are enough.
    icc
        The profile, if the pixels are amounts of ink.

    Raises
    ------
    DamagedImage
        If Pillow found another size, or can't decode it.
    MemoryError
        If there is too little.
    """
    from PIL import Image

    with opened(data, name, is_strict=is_strict) as image:
        if image.size != (shape.width_pixels, shape.height_pixels):
            raise damaged(f"the {name} has another size for its decoder than in its header")
        # Pillow would make the same memory, but hold a bound of the whole process against it.
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
        if image.mode == "CMYK":
            return cmyk_to_srgb(image, icc)
        mode = _MODES[shape.channels]
        pixels = np.array(image if image.mode == mode else image.convert(mode))
        return pixels.reshape(*pixels.shape[:2], -1)
