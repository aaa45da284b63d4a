"""Bytes and a recipe to bytes: the same function on every machine.

The output depends on nothing but the input, the recipe, and the builds of the codecs; so what
one process makes of an image, any other makes as well, byte for byte. `imgbatch.fingerprint`
tells two installations apart that would not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

from imgbatch.adjustment import Adjustment
from imgbatch.buffer import Buffer
from imgbatch.images.buffers import Buffers
from imgbatch.images.failures import as_image_errors
from imgbatch.images.formats import encode, encode_frames, inspect
from imgbatch.images.limits import Limits
from imgbatch.images.notes import Note
from imgbatch.images.picture import Pixels
from imgbatch.recipe import Encoding, Frames, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgbatch.images.animation import Animation, Frame
    from imgbatch.images.picture import Source


@dataclass(frozen=True, slots=True)
class Processed:
    """One image, adjusted and encoded again.

    Parameters
    ----------
    data
        The file's bytes.
    width_pixels, height_pixels
        Of the stored pixels, before any orientation tag.
    notes
        Stable codes for what could not be kept, each once; see `imgbatch.images.notes`.
    thumbnails
        The image before and after, as small JPEGs, if they were asked for and could be made.
    """

    data: bytes
    width_pixels: int
    height_pixels: int
    notes: tuple[str, ...] = ()
    thumbnails: tuple[bytes, bytes] | None = None


class Pipeline:
    """Inspect, decode, adjust, encode; with memory that is kept from image to image.

    One per worker; not thread-safe.

    Parameters
    ----------
    limits
        The largest image that is processed.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._buffers = Buffers()

    def run(
        self,
        data: Buffer,
        recipe: Recipe,
        max_pixels: int | None = None,
        thumbnail_room: tuple[int, int] | None = None,
    ) -> Processed:
        """Process one image.

        Parameters
        ----------
        data
            An encoded file. It is read where it lies; a view of it must not be changed meanwhile.
        recipe
            The adjustment and the encoding.
        max_pixels
            A tighter limit for this one; it never widens the pipeline's own.
        thumbnail_room
            Width and height in pixels that thumbnails may have; None: there shall be none.

        Raises
        ------
        ImageError
            Of the subclass that says what is wrong with the image, and never anything else.
        """
        with as_image_errors():
            limits = self._limits.tightened(max_pixels)
            return self._run(memoryview(data).toreadonly(), recipe, limits, thumbnail_room)

    def _run(
        self,
        data: memoryview,
        recipe: Recipe,
        limits: Limits,
        thumbnail_room: tuple[int, int] | None,
    ) -> Processed:
        source = inspect(data, limits, recipe.encoding.frames)
        if source.shape.frames > 1 and recipe.encoding.frames is Frames.ALL:
            return self._run_frames(cast("Animation", source), recipe, thumbnail_room)
        picture = source.decode(self._buffers, recipe.encoding.damaged)
        before = _thumbnail(source, picture.pixels, thumbnail_room)
        pixels = _adjusted(picture.pixels, recipe.adjustment)
        after = _thumbnail(source, pixels, thumbnail_room)
        thumbnails = None if before is None or after is None else (before, after)
        encoded = encode(pixels, source, recipe.encoding, self._buffers)
        shape = source.shape
        notes = tuple(dict.fromkeys(str(note) for note in (*picture.notes, *encoded.notes)))
        parts = b"".join(encoded.parts)
        return Processed(parts, shape.width_pixels, shape.height_pixels, notes, thumbnails)

    def _run_frames(
        self, source: Animation, recipe: Recipe, thumbnail_room: tuple[int, int] | None
    ) -> Processed:
        thumbnails, notes = list[bytes | None](), list[Note]()

        def adjusted() -> Iterator[Frame]:
            for frame in source.frames(self._buffers, recipe.encoding.damaged):
                room = None if thumbnails else thumbnail_room
                thumbnails.append(_thumbnail(source, frame.pixels, room))
                pixels = _adjusted(frame.pixels, recipe.adjustment)
                thumbnails.append(_thumbnail(source, pixels, room))
                notes.extend(frame.notes)
                yield replace(frame, pixels=pixels)

        encoded = encode_frames(adjusted(), source, recipe.encoding, self._buffers)
        before, after = thumbnails[:2]
        return Processed(
            b"".join(encoded.parts),
            source.shape.width_pixels,
            source.shape.height_pixels,
            tuple(dict.fromkeys(map(str, (*notes, *encoded.notes)))),
            None if before is None or after is None else (before, after),
        )


def _adjusted(pixels: Pixels, adjustment: Adjustment) -> Pixels:
    """Return pixels adjusted in place, where decoders left them so that they can be."""
    from imgbatch_kernels import adjust

    if adjustment.is_neutral:
        return pixels
    return adjust(pixels, **asdict(adjustment), out=pixels if pixels.flags.writeable else None)


def _thumbnail(source: Source, pixels: Pixels, room: tuple[int, int] | None) -> bytes | None:
    if room is None:
        return None
    from imgbatch.images.display import thumbnail

    try:
        return thumbnail(source, pixels, *room)
    except Exception:  # the page lacks a picture, which is no reason to lose the image
        return None


def process(
    data: Buffer,
    adjustment: Adjustment,
    *,
    encoding: Encoding = Encoding(),
    limits: Limits = Limits(),
) -> bytes:
    """Return an encoded image, adjusted.

    Parameters
    ----------
    data
        An image in one of the formats that are read.
    adjustment
        What is done to the pixels.
    encoding
        How they become a file again.
    limits
        The largest image that is processed.

    Raises
    ------
    ImageError
        Of the subclass that says what is wrong with the image.
    """
    return Pipeline(limits).run(data, Recipe(adjustment, encoding)).data
