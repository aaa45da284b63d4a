"""What a server's workers measure: which histogram of their status holds what."""

from __future__ import annotations

from itertools import product

from imgbatch.errors import ImageError
from imgbatch.images.formats import FORMATS, detect_format
from imgbatch.protocol.frames import ResultKind

NO_FORMAT = "none"
IMAGES = tuple(product((*FORMATS, NO_FORMAT), ResultKind))
"""Format and outcome, in the order of their histograms: the seconds that an image took."""
FETCH = len(IMAGES)
"""The seconds until an image that was asked for had come."""
WAIT = FETCH + 1
"""The seconds from a ticket's coming to the beginning of its image."""


def histogram_of(image: memoryview | None, outcome: str) -> int:
    """Return the number of the histogram of images such as this one."""
    try:
        name = NO_FORMAT if image is None else detect_format(image)
    except ImageError:
        name = NO_FORMAT
    return IMAGES.index((name, ResultKind(outcome)))
