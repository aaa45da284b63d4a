"""The RIFF container of WebP (RFC 9649), and the headers of its two bitstreams."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from imgbatch.images.failures import beyond_repair, truncated

ICC_FLAG, ALPHA_FLAG, EXIF_FLAG, XMP_FLAG, ANIMATION_FLAG = 0x20, 0x10, 0x08, 0x04, 0x02
MOST_CHUNKS = 10_000


@dataclass(frozen=True, slots=True)
class WebpStructure:
    """What `parse_webp` found.

    Parameters
    ----------
    width_pixels, height_pixels
        Of the canvas.
    has_alpha, is_lossless, is_animated
        As the chunks say.
    chunks
        Name and body of each chunk, in order.
    is_complete
        Whether the file is as long as its header says.
    """

    width_pixels: int
    height_pixels: int
    has_alpha: bool
    is_lossless: bool
    is_animated: bool
    chunks: list[tuple[bytes, memoryview]] = field(default_factory=list)
    is_complete: bool = True

    def first(self, name: bytes) -> memoryview | None:
        """Return the body of the first chunk of this name."""
        return next((body for found, body in self.chunks if found == name), None)

    @property
    def picture(self) -> list[tuple[bytes, bytes | memoryview]]:
        """The chunks of which the pixels are decoded."""
        bodies = {name: self.first(name) for name in (b"ALPH", b"VP8 ", b"VP8L")}
        picture = [(name, body) for name, body in bodies.items() if body is not None]
        if bodies[b"ALPH"] is None:
            return [*picture]
        canvas = extended_header(ALPHA_FLAG, self.width_pixels, self.height_pixels)
        return [(b"VP8X", canvas), *picture]


def parse_webp(data: memoryview) -> WebpStructure:
    """Return the structure of a WebP file.

    Raises
    ------
    DamagedImage
        If it has no picture, or the picture no size.
    """
    if len(data) < 20:
        raise truncated("the WebP ends within its header")
    (size,) = struct.unpack_from("<I", data, 4)
    chunks = _parse_chunks(data[: 8 + size])
    names = {name for name, _ in chunks}
    lossy = next((body for name, body in chunks if name == b"VP8 "), None)
    lossless = next((body for name, body in chunks if name == b"VP8L"), None)
    extended = next((body for name, body in chunks if name == b"VP8X"), None)
    is_animated = bool(names & {b"ANIM", b"ANMF"})
    if lossy is None and lossless is None and not is_animated:
        raise truncated("the WebP breaks off before its picture")
    width, height = _size(extended, lossy, lossless)
    if lossy is not None and lossless is not None:
        raise beyond_repair("the WebP has a lossy and a lossless picture")
    has_alpha = b"ALPH" in names or (lossless is not None and _has_lossless_alpha(lossless))
    return WebpStructure(
        width,
        height,
        has_alpha=has_alpha,
        is_lossless=lossless is not None,
        is_animated=is_animated,
        chunks=chunks,
        is_complete=len(data) >= 8 + size and 12 + sum(_stored_bytes(b) for _, b in chunks) >= size,
    )


def _stored_bytes(body: memoryview) -> int:
    return 8 + len(body) + len(body) % 2


def _parse_chunks(data: memoryview) -> list[tuple[bytes, memoryview]]:
    chunks: list[tuple[bytes, memoryview]] = []
    position = 12
    while position + 8 <= len(data) and len(chunks) < MOST_CHUNKS:
        name = bytes(data[position : position + 4])
        (size,) = struct.unpack_from("<I", data, position + 4)
        body = data[position + 8 : position + 8 + size]
        if len(body) < size and name not in (b"VP8 ", b"VP8L"):
            break
        chunks.append((name, body))
        position += 8 + size + size % 2
    return chunks


def _size(
    extended: memoryview | None, lossy: memoryview | None, lossless: memoryview | None
) -> tuple[int, int]:
    """Return width and height of the canvas, which the picture's own must be."""
    sizes = set()
    if extended is not None:
        if len(extended) < 10:
            raise beyond_repair("the WebP's extended header is too short")
        across, down = bytes(extended[4:7]), bytes(extended[7:10])
        sizes.add((int.from_bytes(across, "little") + 1, int.from_bytes(down, "little") + 1))
    if lossless is not None:
        if len(lossless) < 5 or lossless[0] != 0x2F:
            raise beyond_repair("the WebP's lossless picture has no header")
        (bits,) = struct.unpack_from("<I", lossless, 1)
        sizes.add(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
    if lossy is not None:
        if len(lossy) < 10 or lossy[0] & 1 or bytes(lossy[3:6]) != b"\x9d\x01\x2a":
            raise beyond_repair("the WebP's lossy picture has no header")
        across_bits, down_bits = struct.unpack_from("<HH", lossy, 6)
        sizes.add((across_bits & 0x3FFF, down_bits & 0x3FFF))
    if len(sizes) != 1 or 0 in next(iter(sizes)):
        raise beyond_repair("the WebP's headers contradict each other about its size")
    return next(iter(sizes))


def _has_lossless_alpha(lossless: memoryview) -> bool:
    return len(lossless) >= 5 and bool(lossless[4] & 0x10)


def join_webp(chunks: Iterable[tuple[bytes, bytes | memoryview]]) -> list[bytes | memoryview]:
    """Return a WebP file of these chunks, in parts."""
    parts: list[bytes | memoryview] = []
    for name, body in chunks:
        parts += [name + struct.pack("<I", len(body)), body, b"\0" * (len(body) % 2)]
    size = 4 + sum(len(part) for part in parts)
    return [b"RIFF" + struct.pack("<I", size) + b"WEBP", *parts]


def extended_header(flags: int, width_pixels: int, height_pixels: int) -> bytes:
    """Return the body of a VP8X chunk."""
    across, down = (side - 1 for side in (width_pixels, height_pixels))
    return struct.pack("<I", flags) + across.to_bytes(3, "little") + down.to_bytes(3, "little")


class _BooleanDecoder:
    """The arithmetic decoder of VP8 (RFC 6386, section 7), for header fields only."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 2
        self._value = int.from_bytes(data[:2].ljust(2, b"\0"), "big")
        self._range = 255
        self._shifted = 0

    def bit(self) -> int:
        """Return the next bit of even probability."""
        split = 1 + ((self._range - 1) * 128 >> 8)
        bit = int(self._value >= split << 8)
        if bit:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value = self._value << 1
            self._range <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                following = self._data[self._position : self._position + 1]
                self._value |= following[0] if following else 0
                self._position += 1
        return bit

    def number(self, bits: int) -> int:
        """Return an unsigned number."""
        value = 0
        for _ in range(bits):
            value = value << 1 | self.bit()
        return value

    def signed(self, bits: int) -> int:
        """Return an optional number with a sign behind it; 0 if it is not there."""
        if not self.bit():
            return 0
        value = self.number(bits)
        return -value if self.bit() else value


def quantiser_of(lossy: memoryview) -> int:
    """Return the mean quantiser index, 0..127, of a VP8 key frame (RFC 6386, section 9)."""
    decoder = _BooleanDecoder(bytes(lossy[10:200]))
    decoder.number(2)  # colour space and clamping
    offsets, is_absolute = _segment_quantisers(decoder)
    decoder.number(10)  # kind, level and sharpness of the loop filter
    if decoder.bit() and decoder.bit():
        for _ in range(8):
            decoder.signed(6)
    decoder.number(2)  # partitions
    base = decoder.number(7)
    values = [offset + (0 if is_absolute else base) for offset in offsets] or [base]
    return min(max(round(sum(values) / len(values)), 0), 127)


def _segment_quantisers(decoder: _BooleanDecoder) -> tuple[list[int], bool]:
    if not decoder.bit():
        return [], False
    changes_map, changes_values = decoder.bit(), decoder.bit()
    offsets: list[int] = []
    is_absolute = False
    if changes_values:
        is_absolute = bool(decoder.bit())
        offsets = [decoder.signed(7) for _ in range(4)]
        for _ in range(4):
            decoder.signed(6)
    if changes_map:
        for _ in range(3):
            if decoder.bit():
                decoder.number(8)
    return offsets, is_absolute
