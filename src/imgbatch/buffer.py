"""Bytes in memory, of any owner."""

from __future__ import annotations

from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
"""What may hold encoded bytes; the standard library's own name for it begins with Python 3.12."""
