"""Which format a file is of, by its content; its name has no say."""

from __future__ import annotations

from imgbatch.images.failures import empty_file, not_an_image, unsupported_format
from imgbatch.images.picture import FileFormat

_SIGNATURES: tuple[tuple[int, bytes, FileFormat | str], ...] = (
    (0, b"\xff\xd8\xff", FileFormat.JPEG),
    (0, b"\x89PNG\r\n\x1a\n", FileFormat.PNG),
    (0, b"II*\0", FileFormat.TIFF),
    (0, b"MM\0*", FileFormat.TIFF),
    (8, b"WEBP", FileFormat.WEBP),
    (0, b"BM", FileFormat.BMP),
    (0, b"GIF87a", "a GIF"),
    (0, b"GIF89a", "a GIF"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypcrx ", "a camera's raw file"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
    (0, b"\x8bJNG\r\n\x1a\n", "JNG"),
    (0, b"II+\0", "a BigTIFF"),
    (0, b"MM\0+", "a BigTIFF"),
    (0, b"IIRO", "a camera's raw file"),
    (0, b"IIU\0", "a camera's raw file"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"DDS ", "a DirectDraw surface"),
    (0, b"qoif", "QOI"),
    (0, b"farbfeld", "farbfeld"),
)


def recognise(data: memoryview) -> FileFormat:
    """Return the format that a file's first bytes announce.

    Raises
    ------
    DamagedImage
        If there are none.
    SkippedFile
        If they announce a format that is not processed, or no image.
    """
    if not data:
        raise empty_file()
    for offset, signature, announced in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            if announced is FileFormat.BMP and bytes(data[15:18]) != bytes(3):
                break  # a text may begin with these two letters; a header has less than 256 bytes
            if isinstance(announced, FileFormat):
                return announced
            raise unsupported_format(announced)
    raise not_an_image()
