"""Images as a viewer shows them: upright, 8 bits, and no larger than there is room for.

Previews and thumbnails are made of it; nothing of it goes into an output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from imgbatch.images.buffers import Buffers
from imgbatch.images.convert import in_8_bits, over_background
from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.images.metadata import orientation_of
from imgbatch.images.picture import Pixels, Source
from imgbatch.recipe import DamagedPolicy

Screen = npt.NDArray[np.uint8]
"""``(height, width, 1 or 3)``: grey or RGB."""

UPRIGHT = 1
THUMBNAIL_QUALITY = 78
LARGEST_THUMBNAIL_PROFILE_BYTES = 4096
"""A Display P3 profile has 500 bytes; large ones would outweigh the picture."""
CHECKER_PIXELS = 12
CHECKER_LEVELS = (204, 242)


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file that has been read and understood, but not decoded.

    Parameters
    ----------
    source
        What its bytes are.
    orientation
        1..8, as EXIF numbers them.
    icc
        Its colour profile, if it is one that the decoded pixels have.
    """

    source: Source
    orientation: int = UPRIGHT
    icc: bytes | None = None

    @property
    def width(self) -> int:
        """Pixels, once upright."""
        return self.source.shape.array_shape[0 if self.is_sideways else 1]

    @property
    def height(self) -> int:
        """Pixels, once upright."""
        return self.source.shape.array_shape[1 if self.is_sideways else 0]

    @property
    def is_sideways(self) -> bool:
        """Whether width and height change places when it is turned upright."""
        return self.orientation >= 5


def open_photograph(data: bytes, limits: Limits) -> Photograph:
    """Check a file's structure and read how it is to be shown.

    Raises
    ------
    ImageError
        If it is no image that imgbatch reads, too large, or damaged.
    """
    source = inspect(memoryview(data), limits)
    return Photograph(source, *_view_of(source))


def _view_of(source: Source) -> tuple[int, bytes | None]:
    """Return orientation and profile, unless it is one of other pixels, such as a CMYK file's."""
    metadata = source.metadata()
    wanted = b"GRAY" if source.shape.channels < 3 else b"RGB "
    is_wanted = metadata.icc is not None and metadata.icc[16:20] == wanted
    return orientation_of(metadata.exif) or UPRIGHT, metadata.icc if is_wanted else None


def full_pixels(photograph: Photograph) -> Pixels:
    """Decode a photograph in full size, upright.

    Raises
    ------
    DamagedImage
        If its pixels are not all there.
    """
    picture = photograph.source.decode(Buffers(), DamagedPolicy.STRICT)
    return upright(picture.pixels, photograph.orientation)


def scaled_pixels(photograph: Photograph, width: int, height: int) -> Pixels:
    """Decode a photograph, upright, scaled down to fit `width` x `height`; never up.

    Raises
    ------
    DamagedImage
        If its pixels are not all there.
    """
    if photograph.is_sideways:
        width, height = height, width
    picture = photograph.source.decode(Buffers(), DamagedPolicy.STRICT)
    return upright(_shrunk(picture.pixels, width, height), photograph.orientation)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels as a viewer would show them; the same array if they already are."""
    if orientation == UPRIGHT:
        return pixels
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    return np.ascontiguousarray(turned)  # type: ignore[return-value]


def _shrunk(pixels: Pixels, width: int, height: int, how: str = "INTER_AREA") -> Pixels:
    """Return the pixels scaled to fit `width` x `height`, each the mean of those it covers."""
    rows, columns, channels = pixels.shape
    scale = min(width / columns, height / rows)
    if scale >= 1:
        return pixels
    import cv2

    size = max(round(columns * scale), 1), max(round(rows * scale), 1)
    smaller = cast("Pixels", cv2.resize(pixels, size, interpolation=getattr(cv2, how)))
    return smaller.reshape(size[1], size[0], channels)


def for_screen(pixels: Pixels) -> Screen:
    """Return 8-bit grey or RGB: 16 bits rounded to 8, transparency over a checkerboard."""
    if pixels.dtype == np.uint16:
        pixels = in_8_bits(pixels)
    if pixels.shape[2] in (2, 4):
        pixels = over_background(pixels, _checkerboard(*pixels.shape[:2]))
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def thumbnail(source: Source, pixels: Pixels, width: int, height: int) -> bytes:
    """Return pixels of an image, as they are or adjusted, as a small JPEG, upright."""
    orientation, icc = _view_of(source)
    if orientation >= 5:
        width, height = height, width
    # Of large photographs four pixels for each of the thumbnail's: the mean of all 12 million
    # takes 22 ms, this 0.4. Interpolating between them is nearly their mean, in 0.2 ms instead
    # of the 1.1 to 2 that the mean itself takes where the scale is not a whole number.
    some = _shrunk(pixels, 2 * width, 2 * height, "INTER_NEAREST")
    screen = for_screen(upright(_shrunk(some, width, height, "INTER_LINEAR"), orientation))
    icc = icc if len(icc or b"") <= LARGEST_THUMBNAIL_PROFILE_BYTES else None
    return to_jpeg(screen, THUMBNAIL_QUALITY, subsampling="420", icc=icc)


def _checkerboard(height: int, width: int) -> Screen:
    rows = np.arange(height)[:, None] // CHECKER_PIXELS
    columns = np.arange(width) // CHECKER_PIXELS
    return np.where((rows + columns) % 2, *CHECKER_LEVELS).astype(np.uint8)[..., None]


def to_jpeg(
    screen: Screen, quality: int, *, subsampling: str = "444", icc: bytes | None = None
) -> bytes:
    """Encode for a browser, with the source's colour profile so that it shows the same colours."""
    import simplejpeg

    from imgbatch.images.jpeg.metadata import profile_segments

    is_grey = screen.shape[2] == 1
    encoded: bytes = simplejpeg.encode_jpeg(
        screen, quality, "GRAY" if is_grey else "RGB", "Gray" if is_grey else subsampling
    )
    return b"".join((encoded[:2], *profile_segments(icc), encoded[2:]))
