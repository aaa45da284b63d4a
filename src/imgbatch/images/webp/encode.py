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

    metadata = source.metadata()
    notes = []
    if encoding.strip_metadata:
        metadata = metadata.stripped()
    elif metadata.has_more:
        notes.append(Note.METADATA_DROPPED)
    options: dict[str, Any] = {"lossless": True}
    lossy = source.structure.first(b"VP8 ")
    if lossy is not None and encoding.quality is None:
        options = {"quality": quality_of(lossy)}
        notes.append(Note.QUALITY_ESTIMATED)
    elif lossy is not None:
        options = {"quality": encoding.quality}
    output = io.BytesIO()
    try:
        Image.fromarray(pixels).save(
            output,
            "WEBP",
            exact=True,
            exif=metadata.exif or b"",
            xmp=metadata.xmp or b"",
            icc_profile=metadata.icc,
            **options,
        )
    except ValueError as error:
        if str(error) in _OUT_OF_MEMORY:
            raise MemoryError from error
        raise
    return Encoded([output.getvalue()], tuple(notes))
