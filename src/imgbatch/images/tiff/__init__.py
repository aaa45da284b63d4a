"""TIFF: directories and layout of the samples, decoding, encoding, and the fields that stay."""

from imgbatch.images.tiff.decode import read
from imgbatch.images.tiff.encode import write, write_frames

__all__ = ["read", "write", "write_frames"]
