"""The formats that are read and written: by which bytes they are known, and who does it.

Adding one is an entry of `FORMATS`, and a folder or file of the same name with two functions:

``read(data)``
    Check a file's structure without decoding a pixel, and return its `Source`.
``write(pixels, source, encoding, buffers)``
    Encode pixels, with the metadata of their source, as `Encoded`.

and, if it has animations, ``write_frames(frames, source, encoding, buffers)``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from imgbatch.errors import Code, DamagedImage, SkippedFile
from imgbatch.images.failures import several_pictures, unsupported_format
from imgbatch.images.notes import Note, notes_where
from imgbatch.recipe import Encoding, Frames, OutputFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from imgbatch.images.animation import Animation, Frame
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.limits import Limits
    from imgbatch.images.picture import Encoded, Pixels, Source

HEAD_BYTES = 18
"""As much of a file as tells its format."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is read and written.

    Parameters
    ----------
    suffixes
        Of names, in small letters; the first is given to new names.
    beginning
        A pattern of the bytes that a file begins with, and by which alone it is known.
    written_as
        Of one that is only read, the format that its pictures are written in.
    """

    suffixes: tuple[str, ...]
    beginning: bytes
    written_as: str = ""

    def matches(self, head: bytes | memoryview) -> bool:
        """Whether a file that begins with these bytes, `HEAD_BYTES` or all, is of the format."""
        return re.match(self.beginning, head, re.DOTALL) is not None


FORMATS = {
    "jpeg": Format((".jpg", ".jpeg", ".jpe", ".jfif"), rb"\xff\xd8\xff"),
    "png": Format((".png", ".apng"), rb"\x89PNG\r\n\x1a\n"),
    "tiff": Format((".tif", ".tiff"), rb"II[*+]\0|MM\0[*+]"),
    "webp": Format((".webp",), rb"RIFF.{4}WEBP"),
    "gif": Format((".gif",), rb"GIF8[79]a"),
    "avif": Format((".avif", ".avifs"), rb".{4}ftypavi[fs]"),
    # Of HEIF's brands those of HEVC, and those that leave open what the pictures are coded in.
    "heif": Format((".heic", ".heif", ".hif"), rb".{4}ftyp(he[ivs]|mi[fa]|msf1)", "jpeg"),
    # A text may begin with BM, too; a BMP goes on with the size of its second header, below 256.
    "bmp": Format((".bmp", ".dib"), rb"BM.{13}\0\0\0"),
}

IMAGE_SUFFIXES = frozenset(suffix for known in FORMATS.values() for suffix in known.suffixes)

_NOT_PROCESSED = {
    rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51": "JPEG 2000",
    rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    rb".{4}ftypcrx |IIRO|IIU\0|FUJIFILMCCD-RAW": "a camera's raw file",
    rb"8BPS": "a Photoshop document",
    rb"\x8aMNG\r\n\x1a\n": "an MNG animation",
    rb"\x8bJNG\r\n\x1a\n": "JNG",
    rb"\0\0\x01\0": "an icon",
    rb"v/1\x01": "OpenEXR",
    rb"#\?RADIANCE": "Radiance HDR",
    rb"DDS ": "a DirectDraw surface",
    rb"qoif": "QOI",
    rb"farbfeld": "farbfeld",
}


def detect_format(data: memoryview) -> str:
    """Return the format, a key of `FORMATS`, that a file's first bytes announce.

    Raises
    ------
    DamagedImage
        If there are none.
    SkippedFile
        If they announce a format that is not processed, or no image.
    """
    if not data:
        raise DamagedImage(Code.EMPTY_FILE, "the file is empty: copy it again from its source")
    for name, candidate in FORMATS.items():
        if candidate.matches(data):
            return name
    for beginning, title in _NOT_PROCESSED.items():
        if re.match(beginning, data, re.DOTALL):
            raise unsupported_format(title)
    raise SkippedFile(Code.NOT_AN_IMAGE, "the file's content is no image format imgbatch knows")


def inspect(data: memoryview, limits: Limits, frames: Frames = Frames.ALL) -> Source:
    """Check a file's structure and size against the limits, without decoding a pixel.

    Parameters
    ----------
    frames
        How many of its pictures will be decoded.

    Raises
    ------
    ImageError
        Of the subclass that says what is wrong with it.
    """
    limits.check_bytes(len(data))
    source: Source = _module(detect_format(data)).read(data)
    one = replace(source.shape, frames=1, others=())
    limits.check_shape(one if frames is Frames.FIRST else source.shape)
    return source


def encode(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode pixels in the format asked for, with what their source had beside them.

    Raises
    ------
    RefusedImage
        If the format can't hold such an image.
    """
    asked = encoding.output_format
    name = _written_format(source, encoding)
    encoded: Encoded = _module(name).write(pixels, source, encoding, buffers)
    facts = {
        Note.FORMAT_CHANGED: asked is OutputFormat.KEEP and name != source.file_format,
        Note.FRAMES_DROPPED: source.shape.frames > 1,
    }
    return replace(encoded, notes=(*notes_where(facts), *encoded.notes))


def encode_frames(
    frames: Iterator[Frame], source: Animation, encoding: Encoding, buffers: Buffers
) -> Encoded:
    """Encode the frames of an animation in the format asked for, each before the next is decoded.

    Raises
    ------
    RefusedImage
        If the format has no animations, or no pages; nothing is decoded then.
    """
    name = _written_format(source, encoding)
    write_frames = getattr(_module(name), "write_frames", None)
    are_pages = source.file_format == "tiff"
    if write_frames is None or are_pages != (name == "tiff"):
        what = "pages of a TIFF" if are_pages else "frames of an animation"
        raise several_pictures(f"a {name.upper()} can't hold the {source.shape.frames} {what}")
    encoded: Encoded = write_frames(frames, source, encoding, buffers)
    return encoded


def _written_format(source: Source, encoding: Encoding) -> str:
    if encoding.output_format is not OutputFormat.KEEP:
        return encoding.output_format.value
    return FORMATS[source.file_format].written_as or source.file_format


def _module(name: str) -> ModuleType:
    """Import what reads and writes a format, when it is needed: all take a worker 25 ms."""
    return import_module(f"imgbatch.images.{name}")


def name_notes(suffix: str, head: bytes) -> tuple[str, ...]:
    """Return the note that a written file's name says another format than its content, if so.

    With ``--format keep`` the content decides the format and the name stays as it was. A suffix
    that is of no image format says nothing.

    Parameters
    ----------
    suffix
        Of its name.
    head
        What the file begins with, `HEAD_BYTES` of it, or all of a shorter one.
    """
    for candidate in FORMATS.values():
        if suffix.lower() in candidate.suffixes and head and not candidate.matches(head):
            return (Note.NAME_SAYS_ANOTHER_FORMAT.value,)
    return ()
