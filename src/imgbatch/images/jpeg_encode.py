"""Entropy-coded JPEG data from pixels, by the fastest encoder that can write a style."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from imgbatch.images.failures import unsupported
from imgbatch.images.notes import Note

if TYPE_CHECKING:
    from imgbatch.images.jpeg_style import JpegStyle
    from imgbatch.images.picture import Pixels

LARGEST_SIDE_PIXELS = 65500
"""libjpeg's own bound; the format's is 65535."""

_PILLOW_SUBSAMPLINGS = {"444": 0, "422": 1, "420": 2, "gray": 0}


def encode_style(pixels: Pixels, style: JpegStyle) -> tuple[bytes, list[Note]]:
    """Encode 8-bit grey or RGB pixels.

    Returns
    -------
    tuple
        A JPEG file with the encoder's own APPn segments, and what of the style it lacks.

    Raises
    ------
    RefusedImage
        If a side is longer than a JPEG can have.
    """
    if max(pixels.shape[:2]) > LARGEST_SIDE_PIXELS:
        raise unsupported(
            f"the image has {pixels.shape[1]} x {pixels.shape[0]} pixels, and a JPEG at most "
            f"{LARGEST_SIDE_PIXELS} along a side; write it as PNG"
        )
    plain = style.quality is not None and not (style.progressive or style.optimised or style.is_rgb)
    if plain:
        return _encode_turbo(pixels, style), []
    if style.subsampling in _PILLOW_SUBSAMPLINGS:
        return _encode_pillow(pixels, style), []
    notes = [] if style.quality is not None else [Note.QUALITY_ESTIMATED]
    return _encode_opencv(pixels, style), notes


def _encode_turbo(pixels: Pixels, style: JpegStyle) -> bytes:
    import simplejpeg

    is_grey = style.subsampling == "gray"
    encoded: bytes = simplejpeg.encode_jpeg(
        pixels,
        quality=style.quality,
        colorspace="GRAY" if is_grey else "RGB",
        colorsubsampling="Gray" if is_grey else style.subsampling,
    )
    return encoded


class _Room(bytes):
    """No bytes to write, for which Pillow makes its buffer larger by a given length."""

    def __new__(cls, _: int) -> _Room:
        return super().__new__(cls)

    def __init__(self, claimed_bytes: int) -> None:
        self._claimed_bytes = claimed_bytes

    def __len__(self) -> int:
        return self._claimed_bytes


def _encode_pillow(pixels: Pixels, style: JpegStyle) -> bytes:
    """Encode with any tables, in scans, or with Huffman tables made for the picture."""
    from PIL import Image

    height, width, channels = pixels.shape
    mode = "L" if channels == 1 else "RGB"
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    luma, *chroma = style.tables
    distinct = [luma, *dict.fromkeys(chroma)] if channels > 1 else [luma]
    options = {
        "qtables": [list(table) for table in distinct],
        "subsampling": _PILLOW_SUBSAMPLINGS[style.subsampling],
        "progressive": style.progressive,
        "optimize": style.optimised,
        "keep_rgb": style.is_rgb,
    }
    output = io.BytesIO()
    try:
        image.save(output, "JPEG", **options)
    except OSError:
        # With scans or made tables the encoder needs the whole file in one buffer, and Pillow
        # takes 2 bytes a pixel for enough; noise at quality 100 needs more.
        output = io.BytesIO()
        image.save(output, "JPEG", **options, extra=_Room(8 * width * height + 2**16))
    return output.getvalue()


def _encode_opencv(pixels: Pixels, style: JpegStyle) -> bytes:
    """Encode samplings that Pillow can't write, with the nearest quality's tables."""
    import cv2

    factors = {
        "440": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
        "411": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
    }
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, style.nearest_quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors[style.subsampling]),
        *(cv2.IMWRITE_JPEG_PROGRESSIVE, int(style.progressive)),
        *(cv2.IMWRITE_JPEG_OPTIMIZE, int(style.optimised)),
    ]
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(pixels[:, :, ::-1]), options)
    return encoded.tobytes()
