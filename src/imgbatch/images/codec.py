"""What each format has: a source that says what a file holds, a reader and a writer."""

from __future__ import annotations

from typing import Protocol

from imgbatch.images.buffers import Buffers
from imgbatch.images.metadata import Metadata
from imgbatch.images.picture import Encoded, Picture, Pixels, Shape
from imgbatch.recipe import DamagedPolicy, Encoding


class Source(Protocol):
    """A file whose structure has been checked, and that can be decoded."""

    @property
    def file_format(self) -> str:
        """What the content says it is: a key of `imgbatch.images.formats.FORMATS`."""
        ...

    @property
    def shape(self) -> Shape:
        """What the decoder will deliver."""
        ...

    def metadata(self) -> Metadata:
        """Return the metadata that other formats can hold."""
        ...

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:
        """Decode the pixels, into the kept buffers where the codec can.

        Raises
        ------
        DamagedImage
            If the pixels are not all there and `damaged` is strict, or none could be decoded.
        """
        ...


class Codec(Protocol):
    """The module of a format."""

    def read(self, data: memoryview, /) -> Source:
        """Check a file's structure, without decoding a pixel; raises `ImageError`."""
        ...

    def write(
        self, pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers, /
    ) -> Encoded:
        """Encode pixels with the metadata of their source; raises `RefusedImage` if it can't."""
        ...
