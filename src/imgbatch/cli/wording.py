"""Numbers as people read them."""

from __future__ import annotations

import math


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
    """Return ``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
