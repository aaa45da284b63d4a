"""TIFF out of pixels: in strips, with the fields of the source that stay true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgbatch.images.deflate import deflate_bytes
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Pixels
from imgbatch.images.tiff import tags
from imgbatch.images.tiff.container import Directory, Entry, header, longs, serialise, shorts
from imgbatch.images.tiff.decode import TiffSource
from imgbatch.images.tiff.metadata import kept_fields
from imgbatch.recipe import Encoding, PngLevel

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.picture import Source

_STRIP_BYTES = 2**18


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode 8- or 16-bit pixels in strips: as they are if the source's were, else deflated."""
    assert isinstance(source, TiffSource)  # there is no --format tiff
    order = source.directory.order
    compression = source.layout.compression
    is_plain = compression == tags.UNCOMPRESSED
    notes = [] if compression in tags.KEPT_COMPRESSIONS else [Note.COMPRESSION_CHANGED]
    kept, dropped = kept_fields(
        source.directory, is_ink=source.is_ink, strip=encoding.strip_metadata
    )
    notes += [Note.METADATA_DROPPED] if dropped else []
    rows_per_strip = max(1, _STRIP_BYTES // (pixels[0].nbytes))
    strips = [
        _encode_strip(pixels[start : start + rows_per_strip], order, is_plain, encoding.png_level)
        for start in range(0, pixels.shape[0], rows_per_strip)
    ]
    sizes = [len(strip) for strip in strips]
    offsets = np.cumsum([8, *sizes])
    end = int(offsets[-1])
    entries = (
        kept
        | _structure(pixels, order, is_plain=is_plain)
        | {
            tags.ROWS_PER_STRIP: longs(order, rows_per_strip),
            tags.STRIP_OFFSETS: longs(order, *offsets[:-1].tolist()),
            tags.STRIP_SIZES: longs(order, *sizes),
        }
    )
    parts = [header(order, end + end % 2), *strips, b"\0" * (end % 2)]
    directory = serialise(Directory(order, entries), end + end % 2)
    return Encoded([*parts, directory], tuple(notes))


def _structure(pixels: Pixels, order: str, *, is_plain: bool) -> dict[int, Entry]:
    height, width, channels = pixels.shape
    entries = {
        tags.WIDTH: longs(order, width),
        tags.HEIGHT: longs(order, height),
        tags.BITS: shorts(order, *(8 * pixels.itemsize,) * channels),
        tags.COMPRESSION: shorts(order, tags.UNCOMPRESSED if is_plain else tags.DEFLATED),
        tags.PHOTOMETRIC: shorts(order, tags.RGB if channels > 2 else tags.BLACK_IS_ZERO),
        tags.SAMPLES: shorts(order, channels),
        tags.PLANAR: shorts(order, 1),
    }
    if not is_plain:
        entries[tags.PREDICTOR] = shorts(order, 2)
    if channels in (2, 4):
        entries[tags.EXTRA_SAMPLES] = shorts(order, 2)
    return entries


def _encode_strip(rows: Pixels, order: str, is_plain: bool, level: PngLevel) -> bytes:
    if not is_plain:
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        rows = differences
    samples = rows.astype(np.dtype(f"{order}u{rows.itemsize}"), copy=False).tobytes()
    if is_plain:
        return samples
    return deflate_bytes(samples, level)
