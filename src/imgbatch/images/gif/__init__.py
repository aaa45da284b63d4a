"""GIF: blocks, decoding, encoding."""

from imgbatch.images.gif.decode import read
from imgbatch.images.gif.encode import write, write_frames

__all__ = ["read", "write", "write_frames"]
