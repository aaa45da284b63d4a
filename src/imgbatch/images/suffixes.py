"""Names that say another format than the content is of. Imports nothing but names of notes."""

from __future__ import annotations

from pathlib import Path

from imgbatch.images.notes import Note

_FORMATS: dict[str, tuple[tuple[str, ...], int, tuple[bytes, ...]]] = {
    "JPEG": ((".jpg", ".jpeg", ".jpe", ".jfif"), 0, (b"\xff\xd8\xff",)),
    "PNG": ((".png",), 0, (b"\x89PNG",)),
    "TIFF": ((".tif", ".tiff"), 0, (b"II*\0", b"MM\0*")),
    "WebP": ((".webp",), 8, (b"WEBP",)),
    "BMP": ((".bmp", ".dib"), 0, (b"BM",)),
}
"""For each format its suffixes, and at which offset it begins with which bytes."""

HEAD_BYTES = 12
"""As much of a file as tells its format."""


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
    for suffixes, offset, beginnings in _FORMATS.values():
        if suffix in suffixes and head and not head[offset:].startswith(beginnings):
            return (Note.NAME_SAYS_ANOTHER_FORMAT.value,)
    return ()
