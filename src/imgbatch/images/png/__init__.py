"""PNG: chunks, decoding, encoding, and the chunks that stay."""

from imgbatch.images.png.decode import read
from imgbatch.images.png.encode import write

__all__ = ["read", "write"]
