"""Pillow as a decoder of last resort: everything that the faster ones can't read."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib import import_module

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from imgbatch.images import failures
from imgbatch.images.animation import Frame
from imgbatch.images.picture import Pixels, Shape

_COMPLAINTS = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, RuntimeError),
    *(LookupError, ArithmeticError, struct.error),
)
"""What Pillow's readers have been seen to raise over damaged files, and their kin."""

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@contextmanager
def opened(
    data: bytes | bytearray | memoryview, name: str, *, is_strict: bool, shape: Shape | None = None
) -> Iterator[ImageFile]:
    """Open an image of one named format, with Pillow's every complaint turned into ours.

    Its classes are used as they are, without `PIL.Image.open`: what that would guess and bound is
    known, and nothing that Pillow keeps for the whole process need be changed.

    Parameters
    ----------
    shape
        What has been checked against the limits.

    Raises
    ------
    DamagedImage
        If Pillow can't open it or finds another size, or the block fails to decode it.
    RefusedImage
        If Pillow says that it knows no such kind.
    MemoryError
        If it fails, and there is not enough for pixels of this shape.
    """
    pillow_name = name.capitalize() if name.isupper() else name
    plugin = import_module(f"PIL.{pillow_name}ImagePlugin")
    try:
        with warnings.catch_warnings():  # of EXIF that it reads on the way
            warnings.simplefilter("ignore")
            opened_file = getattr(plugin, f"{pillow_name}ImageFile")(io.BytesIO(data))
        with opened_file as image:
            if shape is not None and image.size != (shape.width_pixels, shape.height_pixels):
                raise failures.damaged(
                    f"the {name} has another size for its decoder than in its header"
                )
            yield image
    except _COMPLAINTS as error:
        if shape is not None:
            failures.probe_memory(shape)
        if "nsupported" in str(error):
            raise failures.unsupported(f"the {name} is of an unusual kind ({error})") from error
        if not is_strict:
            raise failures.beyond_repair(f"the {name} can't be decoded ({error})") from error
        if "truncated" in str(error).lower():
            raise failures.truncated(f"the {name} breaks off ({error})") from error
        raise failures.damaged(f"the {name} can't be decoded ({error})") from error


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
    with opened(data, name, is_strict=is_strict, shape=shape) as image:
        # Pillow would make the same memory, but hold a bound of the whole process against it.
        image.im = Image.core.new(image.mode, image.size)  # type: ignore[attr-defined]
        try:
            image.load()
        except OSError as error:
            failures.probe_memory(shape)
            # libtiff's decoders leave nothing of a picture that they fail at.
            if is_strict or str(error).startswith("decoder error"):
                raise
            image.tile = []
            image.load()
        if image.mode == "CMYK":
            return cmyk_to_srgb(image, icc)
        return _pixels(image, shape)


def frames_by_pillow(
    data: bytes | memoryview, name: str, shape: Shape, *, is_strict: bool
) -> Iterator[Frame]:
    """Decode the frames of an animation, one after the other, as a viewer shows them.

    Raises
    ------
    DamagedImage
        If Pillow found another size, or can't decode one.
    """
    with opened(data, name, is_strict=is_strict, shape=shape) as image:
        end = 0
        for number in range(shape.frames):
            image.seek(number)
            image.load()
            # Durations are rounded to milliseconds; their sum would drift from the moments.
            start, duration = image.info.get("timestamp", end), image.info.get("duration", 0)
            before, end = end, max(start + duration, end)
            yield Frame(_pixels(image, shape), Fraction(end - before, 1000))


def _pixels(image: ImageFile, shape: Shape) -> Pixels:
    mode = _MODES[shape.channels]
    pixels = np.array(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def cmyk_to_srgb(image: Image.Image, icc: bytes | None) -> Pixels:
    """Return the RGB pixels of a CMYK image.

    Relative colorimetric with black point compensation, as print previews show it. Without a
    profile, or with one that does not describe inks, the plain formula: light is what no ink
    takes, ``255 - min(255, C + K)``, scaled so that black ink alone is black.
    """
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc or b""))
        if profile.profile.xcolor_space.strip() == "CMYK":
            light = ImageCms.profileToProfile(
                image,
                profile,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            return np.array(light)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        pass
    return np.array(image.convert("RGB"))
