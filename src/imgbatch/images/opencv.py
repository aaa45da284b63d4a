"""OpenCV as a decoder: of what would lose its depth elsewhere, and of what it decodes faster."""

from __future__ import annotations

from typing import Any

import numpy as np

from imgbatch.images import failures
from imgbatch.images.picture import Pixels, Shape


def decode_by_opencv(file: bytes, name: str, shape: Shape) -> Pixels:
    """Decode a file, not turned upright, in the order of `Pixels`.

    Parameters
    ----------
    file
        Without anything that has not been checked, above all of another size than `shape` says:
        OpenCV does not tell the size before it decodes.
    name
        Of the format, for people.

    Returns
    -------
        The pixels; of grey with alpha, and of grey that has a transparent level, as OpenCV makes
        them.

    Raises
    ------
    DamagedImage
        If OpenCV can't decode it.
    MemoryError
        If there may be too little, which OpenCV does not tell from damage.
    """
    import cv2

    try:
        pixels: Any = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        failures.probe_memory(shape)
        raise failures.damaged(f"the {name} can't be decoded")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape[2] >= 3:
        order = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        cv2.cvtColor(pixels, order, dst=pixels)
    return pixels  # type: ignore[no-any-return]
