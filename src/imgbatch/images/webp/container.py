"""The RIFF container of WebP (RFC 9649), and the headers of its two bitstreams."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from imgbatch.images.failures import beyond_repair, truncated

MOST_CHUNKS = 100_000
PICTURE_CHUNKS = frozenset((b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"))
ALPHA_FLAG = 0x10
"""Of the extended header: a viewer may see through the picture."""


@dataclass(frozen=True, slots=True)
class WebpStructure:
    """What `parse_webp` found.

    Parameters
    ----------
    width_pixels, height_pixels
        Of the canvas.
    chunks
        Name and body of each chunk, in order.
    is_complete
        Whether the file is as long as its header says.
    """

    width_pixels: int
    height_pixels: int
    chunks: list[tuple[bytes, memoryview]]
    is_complete: bool

    @property
    def is_lossless(self) -> bool:
        """Whether the picture is of the lossless kind."""
        return self.first(b"VP8L") is not None

    @property
    def is_animated(self) -> bool:
        """Whether there are several pictures, or none but an animation's settings."""
        return any(name in (b"ANIM", b"ANMF") for name, _ in self.chunks)

    @property
    def has_alpha(self) -> bool:
        """Whether any pixel may be transparent, as the chunks say."""
        lossless = self.first(b"VP8L")
        return self.first(b"ALPH") is not None or (lossless is not None and bool(lossless[4] & 16))

    @property
    def picture(self) -> list[tuple[bytes, bytes | memoryview]]:
        """The chunks of which the pixels are decoded."""
        bodies = {name: self.first(name) for name in (b"ALPH", b"VP8 ", b"VP8L")}
        picture = [(name, body) for name, body in bodies.items() if body is not None]
        if bodies[b"ALPH"] is None:
            return [*picture]
        canvas = extended_header(ALPHA_FLAG, self.width_pixels, self.height_pixels)
        return [(b"VP8X", canvas), *picture]

    def first(self, name: bytes) -> memoryview | None:
        """Return the body of the first chunk of this name."""
        return next((body for found, body in self.chunks if found == name), None)


def parse_webp(data: memoryview) -> WebpStructure:
    """Return the structure of a WebP file.

    Raises
    ------
    DamagedImage
        If it has no picture or two, or the picture no size.
    """
    if len(data) < 20:
        raise truncated("the WebP ends within its header")
    (size,) = struct.unpack_from("<I", data, 4)
    chunks, length = split_chunks(data[12 : 8 + size])
    structure = WebpStructure(0, 0, chunks, is_complete=len(data) >= max(8 + size, 12 + length))
    if not structure.is_animated:
        width, height = _picture_size(structure)
        structure = replace(structure, width_pixels=width, height_pixels=height)
    return structure


def split_chunks(data: memoryview) -> tuple[list[tuple[bytes, memoryview]], int]:
    """Return name and body of each chunk, and how many bytes there should be of them."""
    chunks: list[tuple[bytes, memoryview]] = []
    position = 0
    while position + 8 <= len(data) and len(chunks) < MOST_CHUNKS:
        name = bytes(data[position : position + 4])
        (length,) = struct.unpack_from("<I", data, position + 4)
        body = data[position + 8 : position + 8 + length]
        if len(body) == length or name in (b"VP8 ", b"VP8L"):
            chunks.append((name, body))
        position += 8 + length + length % 2
    return chunks, position


def _picture_size(structure: WebpStructure) -> tuple[int, int]:
    """Return width and height of the picture, which the canvas's must be."""
    extended, lossy, lossless = (structure.first(name) for name in (b"VP8X", b"VP8 ", b"VP8L"))
    if lossless is not None:
        if lossy is not None:
            raise beyond_repair("the WebP has a lossy and a lossless picture")
        if len(lossless) < 5 or lossless[0] != 0x2F:
            raise beyond_repair("the WebP's lossless picture has no header")
        (bits,) = struct.unpack_from("<I", lossless, 1)
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif lossy is not None:
        if len(lossy) < 10 or lossy[0] & 1 or bytes(lossy[3:6]) != b"\x9d\x01\x2a":
            raise beyond_repair("the WebP's lossy picture has no header")
        across, down = struct.unpack_from("<HH", lossy, 6)
        size = across & 0x3FFF, down & 0x3FFF
    else:
        raise truncated("the WebP breaks off before its picture")
    if 0 in size:
        raise beyond_repair("the WebP's header says that it has no pixels")
    if extended is not None and bytes(extended[4:10]) != extended_header(0, *size)[4:]:
        raise beyond_repair("the WebP's headers contradict each other about its size")
    return size


def join_webp(chunks: list[tuple[bytes, bytes | memoryview]]) -> bytes:
    """Return a WebP file of these chunks."""
    parts: list[bytes | memoryview] = []
    for name, body in chunks:
        parts += [name + struct.pack("<I", len(body)), body, b"\0" * (len(body) % 2)]
    size = 4 + sum(len(part) for part in parts)
    return b"".join((b"RIFF", struct.pack("<I", size), b"WEBP", *parts))


def extended_header(flags: int, width_pixels: int, height_pixels: int) -> bytes:
    """Return the body of a VP8X chunk."""
    across, down = ((side - 1).to_bytes(3, "little") for side in (width_pixels, height_pixels))
    return struct.pack("<I", flags) + across + down
