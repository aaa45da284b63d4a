"""WebP: lossless stays lossless, lossy keeps its quality, and the chunks stay beside it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from imgbatch.images.failures import decoder_failure, several_pictures, truncated
from imgbatch.images.metadata import orientation_only
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, FileFormat, Picture, Pixels, Portable, Shape, Source
from imgbatch.images.webp_chunks import (
    ALPHA_FLAG,
    EXIF_FLAG,
    ICC_FLAG,
    XMP_FLAG,
    WebpStructure,
    extended_header,
    join_webp,
    parse_webp,
    quantiser_of,
)
from imgbatch.recipe import DamagedPolicy, Encoding

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.limits import Limits

_FLAGS = {b"ICCP": ICC_FLAG, b"EXIF": EXIF_FLAG, b"XMP ": XMP_FLAG}
_PICTURE = frozenset((b"VP8X", b"VP8 ", b"VP8L", b"ALPH"))
_LOSSLESS_MEMORY_PER_BYTE = 14
"""Of RGB; the lossless encoder takes 42 bytes a pixel."""

_ENCODER_OUT_OF_MEMORY = ("encoding error 1", "encoding error 2")
"""As libwebp numbers them: VP8_ENC_ERROR_OUT_OF_MEMORY and ..._BITSTREAM_OUT_OF_MEMORY."""

_SEGMENT_BIAS = 0.95
"""The encoder spreads its quantisers over segments of the picture; their mean is that much
above the one that the quality stands for (tried: qualities 30 to 100 on three photographs)."""


@dataclass(frozen=True, slots=True)
class WebpSource:
    """A WebP file whose structure has been checked."""

    data: memoryview
    structure: WebpStructure
    file_format: ClassVar[FileFormat] = FileFormat.WEBP

    @property
    def shape(self) -> Shape:
        """RGB or RGBA, 8 bits."""
        structure = self.structure
        channels = 4 if structure.has_alpha else 3
        return Shape(structure.width_pixels, structure.height_pixels, channels)

    def portable(self) -> Portable:
        """Return EXIF, XMP and ICC from their chunks."""
        exif, xmp, icc = (self.structure.first(name) for name in (b"EXIF", b"XMP ", b"ICCP"))
        return Portable(
            exif=None if exif is None else bytes(exif).removeprefix(b"Exif\0\0"),
            xmp=None if xmp is None else bytes(xmp),
            icc=None if icc is None else bytes(icc),
        )

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode to RGB or RGBA."""
        is_strict = damaged is DamagedPolicy.STRICT
        if is_strict and not self.structure.is_complete:
            raise truncated("the WebP is shorter than its header says")
        return Picture(self._decode_opencv())

    def _decode_opencv(self) -> Pixels:
        """Decode the picture alone: nothing else of the file concerns a decoder."""
        import cv2

        structure = self.structure
        flags = cv2.IMREAD_UNCHANGED if structure.has_alpha else cv2.IMREAD_COLOR_RGB
        file = b"".join(join_webp(structure.picture))
        try:
            pixels = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
        except cv2.error as error:
            raise decoder_failure("the WebP can't be decoded", self.shape) from error
        if pixels is None or pixels.shape != self.shape.array_shape:
            raise decoder_failure("the WebP can't be decoded", self.shape)
        if structure.has_alpha:
            cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA, dst=pixels)
        return pixels  # type: ignore[return-value]

    @property
    def quality(self) -> float:
        """The quality of the lossy encoder whose quantiser the picture has.

        The encoder's own curve from quality to quantiser, inverted: a cube root of the quality,
        bent at 75.
        """
        lossy = self.structure.first(b"VP8 ")
        index = quantiser_of(lossy) if lossy is not None else 0
        linear = (1 - _SEGMENT_BIAS * index / 127) ** 3
        return 100 * (1.5 * linear if linear < 0.5 else (1 + linear) / 2)


def read_webp(data: memoryview, limits: Limits) -> WebpSource:
    """Check a WebP's structure and size.

    Raises
    ------
    DamagedImage
        As `parse_webp` does.
    RefusedImage
        If it is animated.
    LimitExceeded
        If it has more pixels than allowed.
    """
    structure = parse_webp(data)
    if structure.is_animated:
        raise several_pictures("the WebP is animated")
    limits.check_pixels(structure.width_pixels, structure.height_pixels)
    source = WebpSource(data, structure)
    if structure.is_lossless:
        limits.check_memory(source.shape, _LOSSLESS_MEMORY_PER_BYTE)
    return source


def write_webp(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode as the source was, with its chunks."""
    from PIL import Image

    assert isinstance(source, WebpSource)  # there is no --format webp
    image = Image.fromarray(pixels)
    output = io.BytesIO()
    quality = encoding.quality if encoding.quality is not None else source.quality
    options = {"lossless": True} if source.structure.is_lossless else {"quality": quality}
    try:
        image.save(output, "WEBP", exact=True, **options)
    except ValueError as error:
        if str(error) in _ENCODER_OUT_OF_MEMORY:
            raise MemoryError from error
        raise
    encoded = parse_webp(memoryview(output.getvalue()))
    picture = [(name, body) for name, body in encoded.chunks if name in _PICTURE - {b"VP8X"}]
    kept = _kept_chunks(source, strip=encoding.strip_metadata)
    is_guess = not source.structure.is_lossless and encoding.quality is None
    notes = (Note.QUALITY_ESTIMATED,) if is_guess else ()
    if not kept and len(picture) == 1:
        return Encoded(join_webp(picture), notes)
    flags = sum(_FLAGS.get(name, 0) for name in {name for name, _ in kept})
    flags |= ALPHA_FLAG if encoded.has_alpha else 0
    canvas = extended_header(flags, encoded.width_pixels, encoded.height_pixels)
    profile = [chunk for chunk in kept if chunk[0] == b"ICCP"]
    others = [chunk for chunk in kept if chunk[0] != b"ICCP"]
    return Encoded(join_webp([(b"VP8X", canvas), *profile, *picture, *others]), notes)


def _kept_chunks(source: WebpSource, *, strip: bool) -> list[tuple[bytes, bytes | memoryview]]:
    chunks = [(name, body) for name, body in source.structure.chunks if name not in _PICTURE]
    if not strip:
        return [*chunks]
    orientation = orientation_only(source.portable().exif)
    profile = [chunk for chunk in chunks if chunk[0] == b"ICCP"]
    return [*profile, *([(b"EXIF", orientation)] if orientation is not None else [])]
