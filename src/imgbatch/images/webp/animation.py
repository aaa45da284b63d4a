"""Animated WebP: libwebp puts the frames together, and finds what differs between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from imgbatch.images import failures
from imgbatch.images.animation import Animation, Frame, first_picture
from imgbatch.images.buffers import Buffers
from imgbatch.images.picture import Encoded, Picture, Shape
from imgbatch.images.pillow import frames_by_pillow
from imgbatch.images.webp.container import ALPHA_FLAG, WebpStructure, parse_webp, split_chunks
from imgbatch.images.webp.decode import WebpSource
from imgbatch.images.webp.encode import options_for
from imgbatch.recipe import DamagedPolicy, Encoding

_FRAME_HEADER_BYTES = 16
_MEMORY_PER_BYTE, _ENCODER_MEMORY_PER_BYTE = 14, 10


@dataclass(frozen=True, slots=True)
class AnimatedWebp(WebpSource):
    """An animated WebP whose structure has been checked.

    Parameters
    ----------
    stored
        The chunks of each frame.
    """

    stored: tuple[WebpStructure, ...]

    @property
    def shape(self) -> Shape:
        """RGB, or RGBA if the file says that a viewer may see through it."""
        structure, extended = self.structure, self.structure.first(b"VP8X")
        has_alpha = extended is not None and extended[0] & ALPHA_FLAG
        return Shape(
            structure.width_pixels,
            structure.height_pixels,
            4 if has_alpha else 3,
            memory_per_byte=_MEMORY_PER_BYTE,
            frames=len(self.stored),
        )

    @property
    def plays(self) -> int:
        """How often it is played; 0: for ever."""
        settings = self.structure.first(b"ANIM")
        return int.from_bytes(settings[4:6], "little") if settings is not None else 0

    @property
    def lossy(self) -> memoryview | None:
        """The first picture that is coded with loss; None if all are without."""
        found = (frame.first(b"VP8 ") for frame in self.stored)
        return next((body for body in found if body is not None), None)

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode the first frame."""
        return first_picture(self, buffers, damaged)

    def frames(self, buffers: Buffers, damaged: DamagedPolicy) -> Iterator[Frame]:  # noqa: ARG002
        """Decode one frame after the other, as viewers show them."""
        is_strict = damaged is DamagedPolicy.STRICT
        if is_strict and not self.structure.is_complete:
            raise failures.truncated("the WebP is shorter than its header says")
        for frame in frames_by_pillow(self.data, "WebP", self.shape, is_strict=is_strict):
            yield replace(frame, notes=self.notes())


def read(data: memoryview) -> WebpSource:
    """Check a WebP's structure.

    Raises
    ------
    DamagedImage
        As `parse_webp` does, and if frames don't fit the canvas.
    """
    structure = parse_webp(data)
    if not structure.is_animated:
        return WebpSource(data, structure)
    extended = structure.first(b"VP8X")
    if extended is None or len(extended) < 10:
        raise failures.beyond_repair("the animated WebP does not say its size")
    settings = structure.first(b"ANIM")
    if settings is not None and len(settings) < 6:
        raise failures.beyond_repair("the animated WebP does not say how often it is played")
    width, height = (int.from_bytes(extended[at : at + 3], "little") + 1 for at in (4, 7))
    stored = [_stored(body, width, height) for name, body in structure.chunks if name == b"ANMF"]
    if not stored:
        raise failures.truncated("the WebP breaks off before its first frame")
    structure = replace(structure, width_pixels=width, height_pixels=height)
    return AnimatedWebp(data, structure, tuple(stored))


def _stored(body: memoryview, width: int, height: int) -> WebpStructure:
    if len(body) < _FRAME_HEADER_BYTES:
        raise failures.beyond_repair("a frame of the WebP has no size")
    left, top, right, bottom = (
        int.from_bytes(body[at : at + 3], "little") for at in range(0, 12, 3)
    )
    if 2 * left + right + 1 > width or 2 * top + bottom + 1 > height:
        raise failures.beyond_repair("a frame of the WebP lies outside of its canvas")
    chunks, _ = split_chunks(body[_FRAME_HEADER_BYTES:])
    return WebpStructure(right + 1, bottom + 1, chunks, is_complete=True)


def write_frames(
    frames: Iterator[Frame],
    source: Animation,
    encoding: Encoding,
    buffers: Buffers,  # noqa: ARG001
) -> Encoded:
    """Encode frames, without loss if none had any."""
    from imgbatch.images.sequence import save_frames

    assert isinstance(source, AnimatedWebp)
    options, notes = options_for(source, encoding)
    settings = source.structure.first(b"ANIM") or b"\0\0\0\0"
    blue, green, red, alpha = settings[:4]
    failures.probe_memory(source.shape, _ENCODER_MEMORY_PER_BYTE)
    file = save_frames(
        frames,
        source.shape.frames,
        "WEBP",
        loop=source.plays,
        background=(red, green, blue, alpha),
        method=4,  # as for still pictures; Pillow's own 0 makes files a third larger
        **options,
    )
    return Encoded([file], tuple(notes))
