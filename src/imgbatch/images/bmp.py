"""BMP: grey, RGB or RGBA of 8 bits, with its resolution."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

from imgbatch.images.buffers import Buffers
from imgbatch.images.failures import truncated
from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.picture import Encoded, Picture, Pixels, Shape, Source
from imgbatch.recipe import DamagedPolicy, Encoding

_RESOLUTION_OFFSET, _PROFILE_OFFSET = 38, 126
_EMBEDDED_PROFILE = b"DEBM"
_CHANNELS = {"1": 1, "L": 1, "RGBA": 4}
"""To how many each of Pillow's modes is decoded; all others to three."""


@dataclass(frozen=True, slots=True)
class BmpSource:
    """A BMP file whose headers have been checked.

    Parameters
    ----------
    data
        The file.
    shape
        Grey palettes are delivered as grey, others as RGB.
    mode
        Pillow's word for how the pixels are stored.
    end
        Where the pixels end in the file; 0 if that is not known, since they are run-length encoded.
    """

    data: memoryview
    shape: Shape
    mode: str
    end: int
    file_format: ClassVar[str] = "bmp"

    @property
    def resolution(self) -> tuple[int, int]:
        """Dots per metre across and down; 0 if the header has no place for them."""
        if self._number(14) < 40:
            return 0, 0
        return struct.unpack_from("<ii", self.data, _RESOLUTION_OFFSET)

    @property
    def profile(self) -> bytes | None:
        """The embedded colour profile."""
        if self._number(14) < 124 or bytes(self.data[70:74]) != _EMBEDDED_PROFILE:
            return None
        start, size = 14 + self._number(_PROFILE_OFFSET), self._number(_PROFILE_OFFSET + 4)
        profile = bytes(self.data[start : start + size])
        return profile if profile and len(profile) == size else None

    def _number(self, offset: int) -> int:
        return int.from_bytes(self.data[offset : offset + 4], "little")

    def metadata(self) -> Metadata:
        """Return profile and resolution."""
        across, down = self.resolution
        if across <= 0 or down <= 0:
            return Metadata(icc=self.profile)
        resolution = Resolution(across / 100, down / 100, "centimetre")
        return Metadata(icc=self.profile, resolution=resolution)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode to 8-bit grey, RGB or RGBA."""
        from imgbatch.images.pillow import decode_by_pillow

        is_strict, is_short = damaged is DamagedPolicy.STRICT, self.end > len(self.data)
        if is_strict and is_short:
            raise truncated("the BMP is shorter than its pixels")
        pixels = decode_by_pillow(self.data, "BMP", self.shape, is_strict=is_strict)
        facts = {Note.PALETTE_EXPANDED: self.mode == "P", Note.SALVAGED: is_short}
        return Picture(pixels, notes_where(facts))


def read(data: memoryview) -> BmpSource:
    """Check a BMP's headers.

    Raises
    ------
    DamagedImage
        If the headers are not complete, or say nothing sensible.
    RefusedImage
        If they are of an unusual kind, such as those of a JPEG for a printer.
    """
    from imgbatch.images.pillow import opened

    # Pillow reads headers and palette, and decodes no pixel before it is told to.
    with opened(data, "BMP", is_strict=True) as image:
        pixels: Any = image.tile[0]
        end = pixels.offset + pixels.args[1] * image.height if pixels.codec_name == "raw" else 0
        shape = Shape(*image.size, _CHANNELS.get(image.mode, 3))
        return BmpSource(data, shape, image.mode, end)


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode uncompressed: grey with a palette of greys, RGB in 24 bits, RGBA in 32."""
    import cv2

    assert isinstance(source, BmpSource)  # there is no --format bmp
    if pixels.shape[2] > 1:
        order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        pixels = cv2.cvtColor(pixels, order)  # type: ignore[assignment]
    file = bytearray(cv2.imencode(".bmp", pixels)[1])
    if not encoding.strip_metadata:
        struct.pack_into("<ii", file, _RESOLUTION_OFFSET, *source.resolution)
    notes = () if source.profile is None else (Note.ICC_DROPPED,)
    return Encoded([memoryview(file)], notes)
