"""PNG: chunks, decoding, encoding, animations, and the chunks that stay."""

from imgbatch.images.png.animation import read, write_frames
from imgbatch.images.png.encode import write

__all__ = ["read", "write", "write_frames"]
