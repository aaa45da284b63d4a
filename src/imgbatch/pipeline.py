"""Bytes and a recipe to bytes: the same function on every machine.

The output depends on nothing but the input, the recipe, and the builds of the codecs; so what
one process makes of an image, any other makes as well, byte for byte. `imgbatch.fingerprint`
tells two installations apart that would not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

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
    from collections.abc import Iterable, Iterator

    from imgbatch.images.animation import Animation, Frame
    from imgbatch.images.picture import Picture, Source

_Decoded = TypeVar("_Decoded", "Frame", "Picture")


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
        encoding, buffers = recipe.encoding, self._buffers
        source = inspect(data, limits, encoding.frames)
        thumbnails, notes = list[bytes | None](), list[Note]()

        def adjusted(decoded: Iterable[_Decoded]) -> Iterator[_Decoded]:
            for frame in decoded:
                room = None if thumbnails else thumbnail_room
                thumbnails.append(_thumbnail(source, frame.pixels, room))
                pixels = _adjusted(frame.pixels, recipe.adjustment)
                thumbnails.append(_thumbnail(source, pixels, room))
                notes.extend(frame.notes)
                yield replace(frame, pixels=pixels)

        if source.shape.frames > 1 and encoding.frames is Frames.ALL:
            animation = cast("Animation", source)
            frames = adjusted(animation.frames(buffers, encoding.damaged))
            encoded = encode_frames(frames, animation, encoding, buffers)
        else:
            (picture,) = adjusted([source.decode(buffers, encoding.damaged)])
            encoded = encode(picture.pixels, source, encoding, buffers)
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
