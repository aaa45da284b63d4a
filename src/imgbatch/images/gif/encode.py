"""GIF out of pixels: each frame with a palette of its own colours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from PIL import GifImagePlugin, Image  # noqa: F401  # else Pillow imports all its formats

from imgbatch.images.animation import Animation, Frame, changed_area, ticks_between
from imgbatch.images.buffers import Buffers
from imgbatch.images.gif.container import GifFrame, join_gif, parse_gif
from imgbatch.images.gif.decode import GifSource
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Pixels, Source
from imgbatch.recipe import Encoding

_KEPT, _ERASED = 1, 2
"""Disposals: a frame stays under the next one, or all that is shown goes."""

Palette = tuple[npt.NDArray[np.uint8], bytes, int | None, bool]
"""Indices, colours, the transparent index, and whether colours had to be changed."""


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode one picture, with comments and profile."""
    assert isinstance(source, GifSource)  # there is no --format gif
    return write_frames(iter([Frame(pixels, Fraction(0))]), source, encoding, buffers)


def write_frames(
    frames: Iterator[Frame],
    source: Animation,
    encoding: Encoding,
    buffers: Buffers,  # noqa: ARG001
) -> Encoded:
    """Encode frames, of each what differs from the one before."""
    assert isinstance(source, GifSource)
    structure, notes = source.structure, set[Note]()
    extensions = structure.extensions
    if encoding.strip_metadata:
        extensions = [one for one in extensions if bytes(one[3:14]) == b"ICCRGBG1012"]
    size = structure.width_pixels, structure.height_pixels
    file = join_gif(size, _stored(frames, notes), structure.plays, extensions)
    return Encoded([file], tuple(notes))


def _stored(frames: Iterator[Frame], notes: set[Note]) -> Iterator[GifFrame]:
    """Yield frames as they are stored, and note what they lose."""
    shown: Pixels | None = None
    moment = Fraction(0)
    current = next(frames, None)
    while current is not None:
        following = next(frames, None)
        erases = following is not None and _erases(current.pixels, following.pixels)
        rows, columns = slice(None), slice(None)
        if shown is not None and not erases:
            rows, columns = changed_area(shown, current.pixels)
        indices, palette, transparent, is_reduced = _with_palette(current.pixels[rows, columns])
        if is_reduced:
            notes.add(Note.PALETTE_REDUCED)
        before, moment = moment, moment + current.seconds
        yield GifFrame(
            columns.start or 0,
            rows.start or 0,
            indices.shape[1],
            indices.shape[0],
            palette,
            _codes(indices),
            delay=ticks_between(before, moment, 100),
            disposal=0 if following is None and shown is None else _ERASED if erases else _KEPT,
            transparent=transparent,
        )
        shown = np.zeros_like(current.pixels) if erases else current.pixels
        current = following


def _erases(before: Pixels, after: Pixels) -> bool:
    """Whether something is to be seen through that was not before, which no frame can draw."""
    return before.shape[2] == 4 and bool(((before[:, :, 3] > 0) & (after[:, :, 3] == 0)).any())


def _with_palette(pixels: Pixels) -> Palette:
    """Return pixels as indices into a palette; more than 256 colours become the most alike."""
    packed = pixels[:, :, 0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= 8
        packed |= pixels[:, :, channel]
    most, hidden = 256, None
    if pixels.shape[2] == 4 and not pixels[:, :, 3].all():
        most, hidden = 255, pixels[:, :, 3] == 0
        packed[hidden] = packed[~hidden].flat[0] if not hidden.all() else 0
    colours = np.unique(packed)
    if len(colours) <= most:
        indices = np.searchsorted(colours, packed).astype(np.uint8)
        palette = colours.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    else:
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))
        image = image.quantize(most, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        indices = np.array(image)
        palette = bytes(image.getpalette() or ())[: 3 * (int(indices.max()) + 1)]
    transparent = None
    if hidden is not None:
        transparent = len(palette) // 3
        palette += b"\0\0\0"
        indices[hidden] = transparent
    return indices, palette, transparent, len(colours) > most


def _codes(indices: npt.NDArray[np.uint8]) -> bytes | memoryview:
    """Return indices as Pillow codes them; as levels of grey, so that it leaves them alone."""
    output = io.BytesIO()
    Image.fromarray(indices).save(output, "GIF", optimize=False, interlace=0)
    return parse_gif(output.getbuffer()).frames[0].codes
