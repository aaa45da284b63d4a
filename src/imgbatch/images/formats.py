"""The formats that are read and written: by which bytes they are known, and who does it.

Adding one is a folder, or a file, that has a reader and a writer, and an entry of `FORMATS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgbatch.images.failures import empty_file, not_an_image, unsupported_format
from imgbatch.images.notes import Note
from imgbatch.recipe import Encoding, OutputFormat

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.codec import Codec, Source
    from imgbatch.images.limits import Limits
    from imgbatch.images.picture import Encoded, Pixels

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
    load
        Imports the module that reads and writes it: all five take a worker 25 ms.
    """

    suffixes: tuple[str, ...]
    beginning: bytes
    load: Callable[[], Codec]

    def matches(self, head: bytes | memoryview) -> bool:
        """Whether a file that begins with these bytes, `HEAD_BYTES` or all, is of the format."""
        return re.match(self.beginning, head, re.DOTALL) is not None


def _bmp() -> Codec:
    from imgbatch.images import bmp

    return bmp


def _jpeg() -> Codec:
    from imgbatch.images import jpeg

    return jpeg


def _png() -> Codec:
    from imgbatch.images import png

    return png


def _tiff() -> Codec:
    from imgbatch.images import tiff

    return tiff


def _webp() -> Codec:
    from imgbatch.images import webp

    return webp


FORMATS = {
    "jpeg": Format((".jpg", ".jpeg", ".jpe", ".jfif"), rb"\xff\xd8\xff", _jpeg),
    "png": Format((".png",), rb"\x89PNG\r\n\x1a\n", _png),
    "tiff": Format((".tif", ".tiff"), rb"II\*\0|MM\0\*", _tiff),
    "webp": Format((".webp",), rb".{8}WEBP", _webp),
    # A text may begin with BM, too; a BMP goes on with the size of its second header, below 256.
    "bmp": Format((".bmp", ".dib"), rb"BM.{13}\0\0\0", _bmp),
}

_NOT_PROCESSED = {
    rb"GIF8[79]a": "a GIF",
    rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51": "JPEG 2000",
    rb".{4}ftypavi[fs]": "AVIF",
    rb".{4}ftyp(hei|mif1|msf1)": "HEIF",
    rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    rb".{4}ftypcrx |IIRO|IIU\0|FUJIFILMCCD-RAW": "a camera's raw file",
    rb"8BPS": "a Photoshop document",
    rb"\x8aMNG\r\n\x1a\n": "an MNG animation",
    rb"\x8bJNG\r\n\x1a\n": "JNG",
    rb"II\+\0|MM\0\+": "a BigTIFF",
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
        raise empty_file()
    for name, candidate in FORMATS.items():
        if candidate.matches(data):
            return name
    for beginning, title in _NOT_PROCESSED.items():
        if re.match(beginning, data, re.DOTALL):
            raise unsupported_format(title)
    raise not_an_image()


def inspect(data: memoryview, limits: Limits) -> Source:
    """Check a file's structure and size against the limits, without decoding a pixel.

    Raises
    ------
    ImageError
        Of the subclass that says what is wrong with it.
    """
    limits.check_bytes(len(data))
    source = FORMATS[detect_format(data)].load().read(data)
    limits.check_shape(source.shape)
    return source


def encode(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:
    """Encode pixels in the format asked for, with what their source had beside them.

    Raises
    ------
    RefusedImage
        If the format can't hold such an image.
    """
    asked = encoding.output_format
    name = source.file_format if asked is OutputFormat.KEEP else asked.value
    return FORMATS[name].load().write(pixels, source, encoding, buffers)


def name_notes(written: Path, head: bytes) -> tuple[str, ...]:
    """Return the note that a written file's name says another format than its content, if so.

    With ``--format keep`` the content decides the format and the name stays as it was. A suffix
    that is of no image format says nothing.

    Parameters
    ----------
    head
        What the file begins with, `HEAD_BYTES` of it, or all of a shorter one.
    """
    suffix = written.suffix.lower()
    for candidate in FORMATS.values():
        if suffix in candidate.suffixes and head and not candidate.matches(head):
            return (Note.NAME_SAYS_ANOTHER_FORMAT.value,)
    return ()
