"""Numbers, names and sentences as people read them, in terminals and on pages."""

from __future__ import annotations

import math
import os

# What moves the cursor, colors, hides or reorders: control characters and Unicode's marks of
# direction, line and paragraph. A line break may belong to the text, a tab does no harm.
_HARMFUL = [
    *range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0),
    0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A),
]  # fmt: skip
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _HARMFUL}
_LINE_BREAK = {ord("\n"): "\\n"}


def count(number: int, one: str, many: str | None = None) -> str:
    """Return ``1 image``, ``1,234 images``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(size_bytes: float) -> str:
    """Return a size with three digits and a unit of powers of 1000: ``1.23 MB``."""
    if size_bytes < 1000:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= 1000
        if size_bytes < 999.5:
            return f"{digits(size_bytes)} {unit}"
    return f"{digits(size_bytes / 1000)} TB"


def digits(number: float) -> str:
    """Return a number from 0 to 1000 with three digits: ``1.23``, ``12.3``, ``123``."""
    if number <= 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(max(number, 0.01))))
    return f"{number:.{min(places, 2)}f}"


def duration(seconds: float) -> str:
    """Return ``0.042 s``, ``8.3 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 0.995:
        return f"{seconds:.2g} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def os_reason(error: OSError) -> str:
    """Return what the operating system says, without its number and the path again."""
    return (error.strerror or str(error)).lower()


def printable(text: str) -> str:
    """Return a text with the bytes of a file name that are not UTF-8 as escapes."""
    if text.isascii():  # of nearly all names, and a tenth of the time
        return text
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def shown(text: str) -> str:
    r"""Return a text that a terminal only shows: what would steer it stands there as ``\x1b``."""
    text = printable(text)
    # Three in four lines are printable as they are, which costs a tenth of the translation.
    return text if text.isprintable() else text.translate(_ESCAPES)


def shown_name(name: str) -> str:
    """Return a file's name, or a sentence with one, as `shown` does, on one line."""
    return shown(name).translate(_LINE_BREAK)
