"""WebP: chunks and headers, decoding, encoding, animations."""

from imgbatch.images.webp.animation import read, write_frames
from imgbatch.images.webp.encode import write

__all__ = ["read", "write", "write_frames"]
