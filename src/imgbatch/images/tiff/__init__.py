"""TIFF: directories and layout of the samples, decoding, encoding, and the fields that stay."""

from imgbatch.images.tiff.decode import read_tiff
from imgbatch.images.tiff.encode import write_tiff

__all__ = ["read_tiff", "write_tiff"]
