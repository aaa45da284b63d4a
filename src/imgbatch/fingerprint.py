"""What tells two installations apart that would write other bytes for the same image.

A module of its own: a worker of the local engine needs none of it, and the versions of packages
take 16 ms to be able to be read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from imgbatch.adjustment import Adjustment
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Encoding, OutputFormat, PngLevel, Recipe

_DISTRIBUTIONS = (
    "imgbatch",
    "numba",
    "numpy",
    "simplejpeg",
    "pillow",
    "pi-heif",
    "isal",
    "deflate",
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an installation makes of a built-in image.

    Parameters
    ----------
    digest
        Two installations with the same one write the same bytes, as far as libraries of the same
        version do.
    versions
        Of imgbatch, and of each package that has a hand in the bytes.
    """

    digest: str
    versions: dict[str, str]


def fingerprint() -> Fingerprint:
    """Put a built-in image through the pipeline, as PNG and as JPEG, and hash what comes out.

    Of the libraries for other formats the versions are hashed: to encode an AVIF, a GIF and a WebP
    at each start of a server would take longer than all the rest.
    """
    pipeline = Pipeline()
    adjustment = Adjustment(brightness=10, contrast=20, sharpness=40)
    digest = hashlib.blake2b(digest_size=16)
    picture = _built_in_picture()
    for encoding in (
        Encoding(png_level=PngLevel.FAST),
        Encoding(png_level=PngLevel.SMALL),
        Encoding(OutputFormat.JPEG, quality=85),
    ):
        picture_out = pipeline.run(picture, Recipe(adjustment, encoding)).data
        digest.update(picture_out)
    digest.update(pipeline.run(picture_out, Recipe(adjustment)).data)
    digest.update(repr(_library_versions()).encode())
    import cv2

    versions = {name: _version_of(name) for name in _DISTRIBUTIONS}
    return Fingerprint(digest.hexdigest(), versions | {"opencv": cv2.__version__})


def _library_versions() -> dict[str, object]:
    """Return the versions of what decodes and encodes WebP, AVIF, GIF, TIFF and HEIF."""
    import pi_heif
    from PIL import features

    versions = {name: features.version(name) for name in ("pil", "webp", "avif", "libtiff")}
    return versions | {"libheif": pi_heif.libheif_info()}


def _version_of(distribution: str) -> str:
    """Return a package's version, for people; it may have come from elsewhere than PyPI."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def _built_in_picture() -> bytes:
    """Return a PNG of 192 x 128 pixels: slopes, edges and noise, the same everywhere."""
    import cv2

    y, x = np.mgrid[:128, :192].astype(np.uint32)
    noise = ((x * 2654435761 + y * 2246822519) >> 13) & 15
    planes = (x + noise, 2 * y + noise, ((x // 16 + y // 16) % 2) * 160 + noise)
    return cv2.imencode(".png", np.stack(planes, axis=2).astype(np.uint8))[1].tobytes()


def warm_up() -> Fingerprint:
    """Load the codecs and the kernels, so that the first image takes no longer than the others.

    Returns
    -------
        The installation's fingerprint, which using them makes anyway.
    """
    import cv2  # noqa: F401  # no plain JPEG or PNG needs it, and the others should not wait

    import imgbatch_kernels

    imgbatch_kernels.warm_up()
    return fingerprint()
