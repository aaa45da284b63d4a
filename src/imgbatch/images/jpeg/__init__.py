"""JPEG: markers and tables, decoding, encoding, and the segments that stay."""

from imgbatch.images.jpeg.decode import read
from imgbatch.images.jpeg.encode import write

__all__ = ["read", "write"]
