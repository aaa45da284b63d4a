"""Frames as Pillow's writers of animations take them: one after the other, none held."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from PIL import Image

from imgbatch.images.animation import Frame, ticks_between
from imgbatch.images.picture import Pixels


class _FrameSequence(Image.Image):
    """An image whose `seek` asks for the next frame; backwards, it stays where it is."""

    is_animated = True

    def __init__(self, frames: Iterator[Frame], count: int) -> None:
        super().__init__()
        self.n_frames = count
        self.milliseconds: list[int] = []
        self._frames = frames
        self._shown = Fraction(0)
        self.seek(0)

    def tell(self) -> int:
        return len(self.milliseconds) - 1

    def seek(self, frame: int) -> None:
        if frame >= self.n_frames:
            raise EOFError
        if frame > self.tell():
            self._take(next(self._frames))

    def _take(self, frame: Frame) -> None:
        before, self._shown = self._shown, self._shown + frame.seconds
        self.milliseconds.append(ticks_between(before, self._shown, 1000))
        image = image_of(frame.pixels)
        self.im, self._mode, self._size = image.im, image.mode, image.size


def image_of(pixels: Pixels) -> Image.Image:
    """Return pixels of 8 bits as RGB or RGBA of Pillow's; the memory is shared if they are."""
    if pixels.shape[2] < 3:
        pixels = pixels[:, :, [0, 0, 0, 1][: pixels.shape[2] + 2]]
    return Image.fromarray(pixels)


def save_frames(frames: Iterator[Frame], count: int, name: str, **options: Any) -> bytes:
    """Encode an animation in a format of Pillow's, by the options of its writer."""
    sequence = _FrameSequence(frames, count)
    output = io.BytesIO()
    sequence.save(output, name, save_all=True, duration=sequence.milliseconds, **options)
    return output.getvalue()
