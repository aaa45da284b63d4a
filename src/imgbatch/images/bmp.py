"""BMP: grey, RGB or RGBA of 8 bits, with its resolution."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imgbatch.images.failures import beyond_repair, truncated, unsupported
from imgbatch.images.metadata import Metadata, Resolution
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Picture, Pixels, Shape
from imgbatch.recipe import DamagedPolicy, Encoding

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.codec import Source
    from imgbatch.images.limits import Limits

_CORE, _V5 = 12, 124
_PLAIN, _BITFIELDS, _JPEG, _PNG, _ALPHA_BITFIELDS = 0, 3, 4, 5, 6
_KNOWN_HEADERS = (_CORE, 16, 40, 52, 56, 64, 108, _V5)
_EMBEDDED_PROFILE = int.from_bytes(b"MBED", "big")
_RESOLUTION_OFFSET = 38


@dataclass(frozen=True, slots=True)
class BmpHeader:
    """The fields that matter of a BMP's headers."""

    size_bytes: int
    width_pixels: int
    height_pixels: int
    bits: int
    compression: int = _PLAIN
    across_per_metre: int = 0
    down_per_metre: int = 0


@dataclass(frozen=True, slots=True)
class BmpSource:
    """A BMP file whose headers have been checked."""

    data: memoryview
    header: BmpHeader
    channels: int
    file_format: ClassVar[str] = "bmp"

    @property
    def shape(self) -> Shape:
        """Grey palettes are delivered as grey, others as RGB."""
        return Shape(self.header.width_pixels, self.header.height_pixels, self.channels)

    def metadata(self) -> Metadata:
        """Return profile and resolution."""
        across, down = self.header.across_per_metre, self.header.down_per_metre
        has_resolution = across > 0 and down > 0
        return Metadata(
            icc=self.profile,
            resolution=Resolution(across / 100, down / 100, "centimetre")
            if has_resolution
            else None,
        )

    @property
    def profile(self) -> bytes | None:
        """The embedded colour profile."""
        if self.header.size_bytes < _V5:
            return None
        kind, start, size = (
            struct.unpack_from("<I", self.data, 14 + offset)[0] for offset in (56, 112, 116)
        )
        profile = bytes(self.data[14 + start : 14 + start + size])
        return profile if kind == _EMBEDDED_PROFILE and size and len(profile) == size else None

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode to 8-bit grey, RGB or RGBA."""
        from imgbatch.images.pillow import as_array, load, opened

        is_strict = damaged is DamagedPolicy.STRICT
        if is_strict and self.is_short:
            raise truncated("the BMP is shorter than its pixels")
        modes = {1: "L", 3: "RGB", 4: "RGBA"}
        with opened(self.data, "BMP", is_strict=is_strict) as image:
            load(image, self.shape, is_strict=is_strict)
            pixels = as_array(image, modes[self.channels])
        facts = {
            Note.PALETTE_EXPANDED: self.header.bits <= 8 and self.channels == 3,
            Note.SALVAGED: self.is_short,
        }
        return Picture(pixels, tuple(note for note, holds in facts.items() if holds))

    @property
    def is_short(self) -> bool:
        """Whether rows are missing; how long a run-length encoded file should be is not known."""
        header = self.header
        stride = -(-header.width_pixels * header.bits // 32) * 4
        is_plain = header.compression in (_PLAIN, _BITFIELDS, _ALPHA_BITFIELDS)
        return is_plain and len(self.data) < 14 + header.size_bytes + stride * header.height_pixels


def read(data: memoryview, limits: Limits) -> BmpSource:
    """Check a BMP's headers and size.

    Raises
    ------
    DamagedImage
        If the headers are not complete, or say nothing sensible.
    RefusedImage
        If it wraps a JPEG or PNG for a printer.
    LimitExceeded
        If it has more pixels than allowed.
    """
    header = _parse_header(data)
    limits.check_pixels(header.width_pixels, header.height_pixels)
    if header.compression in (_JPEG, _PNG):
        raise unsupported("the BMP holds a JPEG or PNG for a printer")
    return BmpSource(data, header, _delivered_channels(data))


def _parse_header(data: memoryview) -> BmpHeader:
    if len(data) < 26:
        raise truncated("the BMP ends within its header")
    (size,) = struct.unpack_from("<I", data, 14)
    if size not in _KNOWN_HEADERS:
        raise beyond_repair(f"the BMP has a header of {size} bytes")
    if len(data) < 14 + size:
        raise truncated("the BMP ends within its header")
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression, across, down = _PLAIN, 0, 0
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
        compression, _, across, down = struct.unpack_from("<IIii", bytes(data[30:46]) + bytes(16))
    if width <= 0 or height == 0 or bits not in (1, 2, 4, 8, 16, 24, 32):
        raise beyond_repair(f"the BMP's header says {width} x {height} pixels of {bits} bits")
    return BmpHeader(size, width, abs(height), bits, compression, across, down)


def _delivered_channels(data: memoryview) -> int:
    """Return how many channels the decoder will deliver, as it finds from header and palette."""
    from imgbatch.images.pillow import opened

    with opened(data, "BMP", is_strict=True) as image:
        return {"1": 1, "L": 1, "RGBA": 4}.get(image.mode, 3)


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode uncompressed: grey with a palette of greys, RGB in 24 bits, RGBA in 32."""
    import cv2

    assert isinstance(source, BmpSource)  # there is no --format bmp
    if pixels.shape[2] > 1:
        order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        pixels = cv2.cvtColor(pixels, order)  # type: ignore[assignment]
    file = bytearray(cv2.imencode(".bmp", pixels)[1])
    if not encoding.strip_metadata:
        resolution = source.header.across_per_metre, source.header.down_per_metre
        struct.pack_into("<ii", file, _RESOLUTION_OFFSET, *resolution)
    notes = () if source.profile is None else (Note.ICC_DROPPED,)
    return Encoded([memoryview(file)], notes)
