"""TIFF out of pixels: in strips, with the fields of the source that stay true."""

from __future__ import annotations

import numpy as np

from imgbatch.images.buffers import Buffers
from imgbatch.images.deflate import deflate_bytes
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Pixels, Source
from imgbatch.images.tiff import tags
from imgbatch.images.tiff.container import Directory, header, serialise
from imgbatch.images.tiff.decode import TiffSource
from imgbatch.images.tiff.layout import Layout
from imgbatch.images.tiff.metadata import kept_fields
from imgbatch.recipe import Encoding, PngLevel

_STRIP_BYTES = 2**18


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode 8- or 16-bit pixels in strips: as they are if the source's were, else deflated."""
    assert isinstance(source, TiffSource)  # there is no --format tiff
    order, compression = source.directory.order, source.layout.compression
    is_plain = compression == tags.UNCOMPRESSED
    notes = [] if compression in tags.KEPT_COMPRESSIONS else [Note.COMPRESSION_CHANGED]
    kept, dropped = kept_fields(
        source.directory, is_ink=source.is_ink, strip=encoding.strip_metadata
    )
    notes += [Note.METADATA_DROPPED] if dropped else []
    height, width, channels = pixels.shape
    rows = max(1, _STRIP_BYTES // pixels[0].nbytes)
    strips = [
        _encode_strip(pixels[start : start + rows], order, is_plain, encoding.png_level)
        for start in range(0, height, rows)
    ]
    sizes = [len(strip) for strip in strips]
    *starts, end = np.cumsum([8, *sizes]).tolist()
    layout = Layout(
        width,
        height,
        8 * pixels.itemsize,
        channels,
        tags.RGB if channels > 2 else tags.BLACK_IS_ZERO,
        tags.UNCOMPRESSED if is_plain else tags.DEFLATED,
        predictor=1 if is_plain else 2,
        extra=() if channels % 2 else (2,),
        block_pixels=(width, rows),
        blocks=tuple(zip(starts, sizes, strict=True)),
    )
    directory = serialise(Directory(order, kept | layout.fields(order)), end + end % 2)
    return Encoded([header(order, end + end % 2), *strips, bytes(end % 2), directory], tuple(notes))


def _encode_strip(rows: Pixels, order: str, is_plain: bool, level: PngLevel) -> bytes:
    if not is_plain:
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        rows = differences
    samples = rows.astype(np.dtype(f"{order}u{rows.itemsize}"), copy=False).tobytes()
    return samples if is_plain else deflate_bytes(samples, level)
