"""WebP: chunks and headers, decoding, encoding."""

from imgbatch.images.webp.decode import read
from imgbatch.images.webp.encode import write

__all__ = ["read", "write"]
