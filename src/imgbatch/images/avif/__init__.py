"""AVIF: decoding, encoding, and the quality of what was written before."""

from imgbatch.images.avif.decode import read
from imgbatch.images.avif.encode import write, write_frames

__all__ = ["read", "write", "write_frames"]
