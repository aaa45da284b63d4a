"""PNG out of pixels: rows filtered as suits them, with all that stood beside the pixels."""

from __future__ import annotations

import numpy as np

from imgbatch.images.buffers import Buffers
from imgbatch.images.deflate import deflate_bytes
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Pixels, Source
from imgbatch.images.png import container
from imgbatch.images.png.decode import PngSource
from imgbatch.images.png.metadata import NamedChunk, carried_chunks, kept_chunks, stripped_chunks
from imgbatch.recipe import Encoding, PngLevel
from imgbatch_kernels.png import ADAPTIVE, NONE, filter_rows

_FLAT_RATIO = 1 / 4
_COLOUR_TYPES = (container.GREY, container.GREY_ALPHA, container.RGB, container.RGBA)


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode 8- or 16-bit pixels, with the metadata of their source."""
    before, after, notes = metadata_chunks(source, encoding)
    image_data = compress_pixels(pixels, encoding.png_level, buffers)
    file = container.join_png(header_of(pixels), [*before, (b"IDAT", image_data), *after])
    return Encoded([file], tuple(notes))


def header_of(pixels: Pixels) -> container.Header:
    """Return the header of a picture of these pixels."""
    height, width, channels = pixels.shape
    colour_type = _COLOUR_TYPES[channels - 1]
    return container.Header(width, height, 8 * pixels.itemsize, colour_type, False)


def metadata_chunks(
    source: Source, encoding: Encoding
) -> tuple[list[NamedChunk], list[NamedChunk], list[Note]]:
    """Return the chunks before and after the image data, and notes on what has no place there."""
    if isinstance(source, PngSource):
        if encoding.strip_metadata:
            return stripped_chunks(source.structure), [], []
        return kept_chunks(source.structure)
    metadata = source.metadata()
    if encoding.strip_metadata:
        metadata = metadata.stripped()
    notes = [Note.METADATA_DROPPED] if metadata.has_more else []
    return list(carried_chunks(metadata)), [], notes


def compress_pixels(pixels: Pixels, level: PngLevel, buffers: Buffers) -> bytes:
    """Return the body of the one IDAT chunk of these pixels.

    Each row has the filter whose output is nearest to zero. Flat graphics may be a tenth smaller
    with none, and deflate so fast that both are tried.
    """
    samples = pixels.byteswap() if pixels.dtype == np.uint16 else pixels
    rows = samples.reshape(pixels.shape[0], -1).view(np.uint8)
    step = pixels.shape[2] * pixels.itemsize
    out = buffers.bytes_of("filtered", (rows.shape[0], 1 + rows.shape[1]))
    filter_rows(rows, out, step, ADAPTIVE)
    adaptive = deflate_bytes(out, level)
    if len(adaptive) > _FLAT_RATIO * rows.size:
        return adaptive
    filter_rows(rows, out, step, NONE)
    return min(adaptive, deflate_bytes(out, level), key=len)
