"""TIFF out of pixels: in strips, with the fields of the source that stay true."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate

import numpy as np

from imgbatch.images.animation import Frame
from imgbatch.images.buffers import Buffers
from imgbatch.images.deflate import deflate_bytes
from imgbatch.images.metadata import ORIENTATION_TAG
from imgbatch.images.notes import Note, notes_where
from imgbatch.images.picture import Encoded, Pixels, Source
from imgbatch.images.tiff import container, tags
from imgbatch.images.tiff.container import Directory, Entry, header, serialise
from imgbatch.images.tiff.decode import Page, TiffSource
from imgbatch.images.tiff.layout import Layout
from imgbatch.recipe import Encoding, PngLevel

_STRIP_BYTES = 2**18
_POINTERS = (container.DIRECTORY, container.DIRECTORY8)


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode 8- or 16-bit pixels with the fields of the first page."""
    return write_frames(iter([Frame(pixels, Fraction(0))]), source, encoding, buffers)


def write_frames(
    frames: Iterator[Frame],
    source: Source,
    encoding: Encoding,
    buffers: Buffers,  # noqa: ARG001
) -> Encoded:
    """Encode pages in strips: as they are if the source's were, else deflated."""
    assert isinstance(source, TiffSource)  # there is no --format tiff
    order, is_big = source.pages[0].directory.order, source.pages[0].directory.is_big
    end = len(header(order, 0, is_big=is_big))
    strips: list[bytes] = []
    directories: list[Directory] = []
    notes: list[Note] = []
    for page, frame in zip(source.pages, frames, strict=False):
        page_strips, layout = _strips(frame.pixels, page, end, encoding.png_level)
        kept, page_notes = _kept_fields(page, encoding, is_among_others=len(source.pages) > 1)
        directories.append(Directory(order, kept | layout.fields(order), is_big=is_big))
        strips += page_strips
        end = layout.end
        notes += page_notes
    first = start = end + end % 2
    tables = []
    for number, directory in enumerate(directories, 1):
        tables.append(serialise(directory, start, is_followed=number < len(directories)))
        start += len(tables[-1])
    parts = [header(order, first, is_big=is_big), *strips, bytes(end % 2), *tables]
    return Encoded(parts, tuple(notes))


def _kept_fields(
    page: Page, encoding: Encoding, *, is_among_others: bool
) -> tuple[dict[int, Entry], list[Note]]:
    """Return the fields of a page that stay, and notes on what does not."""
    entries = page.directory.entries
    kept = {tag: entry for tag, entry in entries.items() if tag not in tags.STRUCTURE}
    if encoding.strip_metadata:
        kept = {tag: kept[tag] for tag in (tags.ICC, ORIENTATION_TAG) if tag in kept}
    if page.is_ink:
        kept.pop(tags.ICC, None)
    fields = {t: e for t, e in kept.items() if e.kind not in _POINTERS or e.directory is not None}
    facts = {
        Note.COMPRESSION_CHANGED: page.layout.compression not in tags.KEPT_COMPRESSIONS,
        Note.METADATA_DROPPED: len(fields) < len(kept),
    }
    if is_among_others and tags.SUBFILE_KIND in entries:
        fields[tags.SUBFILE_KIND] = entries[tags.SUBFILE_KIND]
    return fields, [*notes_where(facts)]


def _strips(pixels: Pixels, page: Page, start: int, level: PngLevel) -> tuple[list[bytes], Layout]:
    """Return the strips of a page, to stand at an offset, and how they lie there."""
    height, width, channels = pixels.shape
    is_plain = page.layout.compression == tags.UNCOMPRESSED
    rows = max(1, _STRIP_BYTES // pixels[0].nbytes)
    strips = [
        _encode_strip(pixels[first : first + rows], page.directory.order, is_plain, level)
        for first in range(0, height, rows)
    ]
    starts = accumulate(map(len, strips), initial=start)
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
        blocks=tuple(zip(starts, map(len, strips), strict=False)),
    )
    return strips, layout


def _encode_strip(rows: Pixels, order: str, is_plain: bool, level: PngLevel) -> bytes:
    if not is_plain:
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        rows = differences
    samples = rows.astype(np.dtype(f"{order}u{rows.itemsize}"), copy=False).tobytes()
    return samples if is_plain else deflate_bytes(samples, level)
