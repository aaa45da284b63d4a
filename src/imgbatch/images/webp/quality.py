"""The quality at which a lossy WebP was written, by the quantisers in its headers."""

from __future__ import annotations

_SEGMENT_BIAS = 0.95
"""The encoder spreads its quantisers over segments of the picture; their mean is that much
above the one that the quality stands for (tried: qualities 30 to 100 on three photographs)."""


def quality_of(lossy: memoryview) -> float:
    """Return the quality, 0..100, of the encoder whose quantiser a VP8 key frame has.

    The encoder's own curve from quality to quantiser, inverted: a cube root of the quality,
    bent at 75.
    """
    linear = (1 - _SEGMENT_BIAS * quantiser_of(lossy) / 127) ** 3
    return 100 * (1.5 * linear if linear < 0.5 else (1 + linear) / 2)


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
