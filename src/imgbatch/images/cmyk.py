"""Amounts of ink to sRGB, through the profile that came with them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

    from imgbatch.images.picture import Pixels


def cmyk_to_srgb(image: Image.Image, icc: bytes | None) -> Pixels:
    """Return the RGB pixels of a CMYK image.

    Relative colorimetric with black point compensation, as print previews show it. Without a
    profile, or with one that does not describe inks, the plain formula: light is what no ink
    takes, ``255 - min(255, C + K)``, scaled so that black ink alone is black.
    """
    converted = _through_profile(image, icc) if icc is not None else None
    if converted is None:
        converted = image.convert("RGB")
    return np.array(converted)


def _through_profile(image: Image.Image, icc: bytes) -> Image.Image | None:
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if profile.profile.xcolor_space.strip() != "CMYK":
            return None
        return ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
