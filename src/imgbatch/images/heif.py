"""HEIF, as phones write it (HEIC): read by libheif, written as JPEG or PNG.

There is no writer: encoders of HEVC come under licences that ask for more than ours gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from imgbatch.errors import DamagedImage
from imgbatch.images import avif
from imgbatch.images.failures import beyond_repair, probe_memory, truncated, unsupported
from imgbatch.images.isobmff import (
    boxes,
    find,
    is_complete,
    largest_picture,
    trailing_bytes,
)
from imgbatch.images.limits import MEMORY_PER_DECODED_BYTE
from imgbatch.images.metadata import Metadata
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.picture import Picture, Shape
from imgbatch.images.profiles import is_usual
from imgbatch.recipe import DamagedPolicy

if TYPE_CHECKING:
    from pi_heif import HeifImage

    from imgbatch.images.avif.decode import AvifSource
    from imgbatch.images.buffers import Buffers

_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_SUBSAMPLINGS = {420: "420", 422: "422"}
_LEAST_QUALITY, _MOST_QUALITY = 75, 95
_COMPLAINTS = (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError)
"""What pi_heif raises."""


@dataclass(frozen=True, slots=True)
class HeifSource:
    """A HEIF file whose structure libheif has read.

    Parameters
    ----------
    image
        Its primary picture.
    shape
        As it is shown: libheif turns and crops as the file asks for.
    size_bytes
        Of the file.
    is_complete
        Whether the file has all its pieces.
    has_more_pictures
        Whether it has others: of a series, depth, or a gain map.
    has_trailing_bytes
        Whether bytes follow its last box.
    """

    image: HeifImage
    shape: Shape
    size_bytes: int
    is_complete: bool
    has_more_pictures: bool
    has_trailing_bytes: bool
    file_format: ClassVar[str] = "heif"

    @property
    def like_jpeg(self) -> tuple[int, str]:
        """Quality and sampling of a JPEG that looks alike, by the bits that HEVC took for a pixel.

        Tried on five photographs at five qualities: from that one on, less 6, the JPEG's own loss
        is smaller than what HEVC had lost before.
        """
        bits = 8 * self.size_bytes / (self.shape.width_pixels * self.shape.height_pixels)
        quality = min(max(round(82 + 13 * log2(bits)), _LEAST_QUALITY), _MOST_QUALITY)
        return quality, _SUBSAMPLINGS.get(self.image.info.get("chroma"), "444")

    def metadata(self) -> Metadata:
        """Return EXIF, XMP and colours; upright, as the pixels are delivered."""
        from pi_heif import set_orientation

        info = dict(self.image.info)
        set_orientation(info)
        numbers = info.get("nclx_profile", {})
        code_points = numbers.get("color_primaries"), numbers.get("transfer_characteristics")
        return Metadata(
            exif=(info["exif"] or b"").removeprefix(b"Exif\0\0") or None,
            xmp=info.get("xmp"),
            icc=info.get("icc_profile"),
            code_points=None if is_usual(code_points) else code_points,
            has_more=bool(info["metadata"]),
        )

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode to 8 or 16 bits, upright."""
        if damaged is DamagedPolicy.STRICT and not self.is_complete:
            raise truncated("the HEIF file ends before its last piece")
        shape, image = self.shape, self.image
        with _as_image_errors(shape):
            data = image.data
        if image.size != (shape.width_pixels, shape.height_pixels):
            raise beyond_repair("the HEIF picture has another size than its header says")
        # The memory that pi_heif shows is gone with its image.
        pixels = buffers.get("decoded", shape)
        pixels[...] = np.frombuffer(data, pixels.dtype).reshape(shape.array_shape)
        if shape.bits_per_sample == 16:  # libheif leaves the lowest bits zero
            pixels |= pixels >> image.info["bit_depth"]
        facts = {
            Note.EMBEDDED_PICTURES_DROPPED: self.has_more_pictures,
            Note.SALVAGED: not self.is_complete,
            Note.TRAILING_DATA_DROPPED: self.has_trailing_bytes,
        }
        return Picture(pixels, notes_where(facts))


def read(data: memoryview) -> HeifSource | AvifSource:
    """Read a HEIF file's structure; of one that is coded by AV1, which makes it an AVIF, as such.

    Raises
    ------
    DamagedImage
        If libheif can't read it.
    RefusedImage
        If its picture is of a kind that libheif does not decode.
    """
    from pi_heif import open_heif, options

    codecs = {kind for kind, _ in boxes(find(data, b"meta", b"iprp", b"ipco"))}
    if b"av1C" in codecs and b"hvcC" not in codecs:
        return avif.read(data)
    has_all = is_complete(data)
    # A thread that can't be started ends the process; and each image has a process of its own.
    options.DECODE_THREADS = 0
    try:
        with _as_image_errors():
            file = open_heif(bytes(data), convert_hdr_to_8bit=False)
            image = file[file.primary_index]
    except DamagedImage as error:
        if not has_all:
            raise truncated("the HEIF file ends before its picture") from error
        raise
    mode, _, is_deep = image.mode.partition(";")
    if mode not in _CHANNELS:
        raise unsupported(f"the HEIF picture is of an unusual kind ({image.mode})")
    width, height = image.size
    if width <= 0 or height <= 0:
        raise beyond_repair("the HEIF picture has no pixels")
    # Of what is cropped, all is decoded.
    parts = -(-largest_picture(data) // (width * height))
    memory = MEMORY_PER_DECODED_BYTE * max(parts, 1)
    shape = Shape(width, height, _CHANNELS[mode], 16 if is_deep else 8, memory)
    has_more_pictures = len(file) > 1 or bool(image.info["depth_images"] or image.info["aux"])
    has_more_pictures |= bool(find(data, b"moov"))  # a series of them, of which libheif says none
    has_trailing = bool(trailing_bytes(data))
    return HeifSource(image, shape, len(data), has_all, has_more_pictures, has_trailing)


@contextmanager
def _as_image_errors(shape: Shape | None = None) -> Iterator[None]:
    """Turn what pi_heif raises into our own errors."""
    try:
        yield
    except _COMPLAINTS as error:
        if shape is not None:
            probe_memory(shape)
        if "nsupported" in str(error):
            raise unsupported(f"the HEIF picture is of an unusual kind ({error})") from error
        raise beyond_repair(f"the HEIF file can't be decoded ({error})") from error
