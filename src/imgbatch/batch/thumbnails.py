"""Which photographs of a run the page shows before and after, and what passes as a thumbnail.

The sample is chosen while the search for files goes on, by numbers that are spread evenly over
all however many come: the multiples of the golden ratio's inverse, without their whole part.
"""

from __future__ import annotations

MOST_KEPT = 48
WIDTH_PIXELS, HEIGHT_PIXELS = 480, 360
"""At most."""
LARGEST_BYTES = 65_536
"""Of one JPEG; all of them then have 8.4 MB on the page, in base64."""
_FEWEST_WANTED = 12
_GOLDEN = 0.6180339887498949


def rank(index: int) -> float:
    """Return a job's place in the order of the sample, 0..1; any beginning is spread evenly."""
    return index * _GOLDEN % 1.0


def is_wanted(index: int, files: int) -> bool:
    """Whether a job's thumbnails are wanted, in a run of so many files (known so far).

    A pair takes a worker 1 to 4 ms, so small runs have fewer: 12 of 40 photographs of 12
    megapixels are 1.5 % of their time, and 16 of 400 of half a megapixel 1 %.
    """
    most = min(_FEWEST_WANTED + files // 100, MOST_KEPT)
    return rank(index) * files < most


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels of a JPEG that may stand on the page; None if it may not.

    It comes from another process, which may be on another machine: it is neither decoded here nor
    believed to be small, only its headers are read.
    """
    if not data.startswith(b"\xff\xd8") or len(data) > LARGEST_BYTES:
        return None
    position = 2
    while data[position : position + 1] == b"\xff" and position + 9 <= len(data):
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xC2:
            height = int.from_bytes(data[position + 5 : position + 7])
            width = int.from_bytes(data[position + 7 : position + 9])
            fits = 0 < width <= WIDTH_PIXELS and 0 < height <= HEIGHT_PIXELS
            return (width, height) if fits else None
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None
