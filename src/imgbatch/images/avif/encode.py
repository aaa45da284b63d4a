"""AVIF out of pixels: 8 bits, in the quality and sampling of the source."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from imgbatch.images.animation import Animation, Frame
from imgbatch.images.avif.decode import REPEATED, AvifSource
from imgbatch.images.buffers import Buffers
from imgbatch.images.convert import in_8_bits
from imgbatch.images.failures import probe_memory
from imgbatch.images.isobmff import boxes, find
from imgbatch.images.metadata import ORIENTATION_TAG, orientation_of
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Pixels, Source
from imgbatch.recipe import Encoding

_USUAL_QUALITY = 75
_MEMORY_PER_BYTE, _ANIMATION_MEMORY_PER_BYTE = 12, 24
"""That the encoder takes: without it, libaom crashes."""
_SPEED = 6
_ANIMATION_SPEED = 8
"""From 6 to 7, an animation takes a sixth of the time and a third of the memory, and 30 % more
bytes; a photograph 10 % less time."""
_SOFTWARE_TAG = 0x0131


def write(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode in the sampling of the source, at the quality by which it took as many bits."""
    from imgbatch.images.sequence import image_of

    assert isinstance(source, AvifSource)  # there is no --format avif
    notes = [] if encoding.quality else [Note.QUALITY_ESTIMATED]
    if pixels.dtype == np.uint16:
        pixels = in_8_bits(pixels)
        notes.append(Note.DEPTH_REDUCED)
    probe_memory(source.shape, _MEMORY_PER_BYTE)
    output = io.BytesIO()
    image_of(pixels).save(output, "AVIF", **_options(source, encoding))
    return Encoded([_completed(output.getvalue(), source)], tuple(notes))


def write_frames(
    frames: Iterator[Frame],
    source: Animation,
    encoding: Encoding,
    buffers: Buffers,  # noqa: ARG001
) -> Encoded:
    """Encode an animation, each frame with the duration that it had."""
    from imgbatch.images.sequence import save_frames

    assert isinstance(source, AvifSource)
    probe_memory(source.shape, _ANIMATION_MEMORY_PER_BYTE)
    file = save_frames(frames, source.shape.frames, "AVIF", **_options(source, encoding))
    notes = () if encoding.quality else (Note.QUALITY_ESTIMATED,)
    return Encoded([_completed(file, source)], notes)


def _options(source: AvifSource, encoding: Encoding) -> dict[str, Any]:
    """Return options for Pillow's writer; how many threads there are changes what it writes."""
    metadata = source.metadata()
    if encoding.strip_metadata:
        metadata = metadata.stripped()
    return {
        "quality": encoding.quality or source.quality or _USUAL_QUALITY,
        "subsampling": source.sampling,
        "speed": _SPEED if source.shape.frames == 1 else _ANIMATION_SPEED,
        "max_threads": 1,
        "autotiling": False,
        "icc_profile": metadata.icc,
        "exif": _unchanged(metadata.exif),
        "xmp": metadata.xmp,
    }


def _unchanged(exif: bytes | None) -> Image.Exif | None:
    """Return EXIF of which Pillow takes the orientation, and writes the bytes as they are."""

    class Unchanged(Image.Exif):
        def tobytes(self, offset: int = 8) -> bytes:  # noqa: ARG002
            return exif or b""

    if exif is None:
        return None
    block = Unchanged()
    block[ORIENTATION_TAG] = orientation_of(exif) or 1
    block[_SOFTWARE_TAG] = ""  # else Pillow would take it for empty
    return block


def _completed(file: bytes, source: AvifSource) -> bytes:
    """Return a file that says its colours, how often it is played, and not when it was made."""
    whole = bytearray(file)
    movie = find(memoryview(whole), b"moov")
    tracks = [body for kind, body in boxes(movie) if kind == b"trak"]
    for head in (find(movie, b"mvhd"), *(find(track, b"mdia", b"mdhd") for track in tracks)):
        head[4:20] = bytes(len(head[4:20]))
    for track in tracks:
        edit, head = find(track, b"edts", b"elst"), find(track, b"tkhd")
        head[4:20] = bytes(16)
        if source.plays:
            edit[3] = REPEATED if source.plays > 1 else 0
            total = source.plays * int.from_bytes(edit[8:16])
            head[28:36] = find(movie, b"mvhd")[24:32] = total.to_bytes(8)
    code_points = source.metadata().code_points
    if code_points is not None:
        for found in re.finditer(b"colrnclx", file):
            struct.pack_into(">HH", whole, found.end(), *code_points)
    return bytes(whole)
