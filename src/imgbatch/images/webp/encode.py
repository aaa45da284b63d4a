"""WebP out of pixels: lossless stays lossless, lossy keeps its quality."""

from __future__ import annotations

import io
from typing import Any

from imgbatch.images.buffers import Buffers
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Pixels, Source
from imgbatch.images.webp.decode import WebpSource
from imgbatch.images.webp.quality import quality_of
from imgbatch.recipe import Encoding

_OUT_OF_MEMORY = ("encoding error 1", "encoding error 2")
"""As libwebp numbers them: VP8_ENC_ERROR_OUT_OF_MEMORY and ..._BITSTREAM_OUT_OF_MEMORY."""


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode as the source was, with its profile, EXIF and XMP."""
    assert isinstance(source, WebpSource)  # there is no --format webp
    from PIL import Image, WebPImagePlugin  # noqa: F401  # else Pillow imports all its formats

    options, notes = options_for(source, encoding)
    output = io.BytesIO()
    try:
        Image.fromarray(pixels).save(output, "WEBP", exact=True, **options)
    except ValueError as error:
        if str(error) in _OUT_OF_MEMORY:
            raise MemoryError from error
        raise
    return Encoded([output.getvalue()], tuple(notes))


def options_for(source: WebpSource, encoding: Encoding) -> tuple[dict[str, Any], list[Note]]:
    """Return metadata and quality, as Pillow's writer takes them, and notes on what is lost."""
    metadata = source.metadata()
    notes = []
    if encoding.strip_metadata:
        metadata = metadata.stripped()
    elif metadata.has_more:
        notes.append(Note.METADATA_DROPPED)
    options: dict[str, Any] = {
        "exif": metadata.exif or b"",
        "xmp": metadata.xmp or b"",
        "icc_profile": metadata.icc,
    }
    if source.lossy is None:
        return options | {"lossless": True}, notes
    if encoding.quality is None:
        notes.append(Note.QUALITY_ESTIMATED)
    return options | {"quality": encoding.quality or quality_of(source.lossy)}, notes
