"""Images as a viewer shows them: upright, and no larger than there is room for.

Nothing here is written to an output; previews and thumbnails are made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgbatch.images.buffers import Buffers
from imgbatch.images.picture import FileFormat
from imgbatch.recipe import DamagedPolicy

if TYPE_CHECKING:
    from imgbatch.images.picture import Pixels, Source

UPRIGHT = 1
_TURNS = {2: "H", 3: "HV", 4: "V", 5: "T", 6: "TH", 7: "THV", 8: "TV"}
"""How each orientation is undone: transpose, then mirror horizontally, then vertically."""


def is_sideways(orientation: int) -> bool:
    """Whether width and height change places when the image is turned upright."""
    return orientation >= 5


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels as a viewer would show them; the same array if they already are."""
    if orientation == UPRIGHT:
        return pixels
    import cv2

    turned = pixels
    for step in _TURNS[orientation]:
        match step:
            case "T":
                turned = cv2.transpose(turned)
            case "H":
                turned = cv2.flip(turned, 1)
            case _:
                turned = cv2.flip(turned, 0)
    return turned.reshape(*turned.shape[:2], pixels.shape[2])


def decode_at_least(
    data: bytes,
    source: Source,
    width: int,
    height: int,
    damaged: DamagedPolicy = DamagedPolicy.STRICT,
) -> Pixels:
    """Decode an image for a view of `width` x `height` pixels, stored orientation.

    A JPEG is scaled by its decoder: of 24 megapixels, an eighth of the rows and columns is
    there after a third of the time that all of them take. Other formats come in full size.

    Raises
    ------
    ImageError
        As `Source.decode` raises them.
    """
    shape = source.shape
    if source.file_format is FileFormat.JPEG and 2 * width <= shape.width_pixels:
        scaled = _scaled_jpeg(data, width, height)
        if scaled is not None:
            return scaled
    return source.decode(Buffers(), damaged).pixels


def _scaled_jpeg(data: bytes, width: int, height: int) -> Pixels | None:
    import simplejpeg

    try:
        colourspace = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}.get(
            simplejpeg.decode_jpeg_header(data)[2]
        )
        if colourspace is None:
            return None
        return simplejpeg.decode_jpeg(  # type: ignore[no-any-return]
            data, colourspace, min_width=width, min_height=height
        )
    except ValueError:  # what is wrong with it, the full decoder says in its own words
        return None


def shrunk(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return the pixels scaled to fit `width` x `height`; the same array if they already do.

    Each pixel of the result is the mean of those it covers.
    """
    rows, columns, channels = pixels.shape
    scale = min(width / columns, height / rows)
    if scale >= 1:
        return pixels
    import cv2

    size = max(round(columns * scale), 1), max(round(rows * scale), 1)
    smaller = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    return smaller.reshape(size[1], size[0], channels)
