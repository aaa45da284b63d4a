"""The quality at which a lossy WebP was written, by the quantisers in its headers."""

from __future__ import annotations

from collections.abc import Iterator

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


def quantiser_of(lossy: memoryview) -> int:
    """Return the mean quantiser index, 0..127, of a VP8 key frame (RFC 6386, section 9)."""
    bits = _header_bits(bytes(lossy[10:200]))

    def number(size: int) -> int:
        return sum(next(bits) << place for place in reversed(range(size)))

    def optional_signed(size: int) -> int:
        value = number(size) if next(bits) else None
        return 0 if value is None else -value if next(bits) else value

    number(2)  # colour space and clamping
    offsets, is_absolute = [0], 0
    if number(1):  # the picture has segments
        changes_map, changes_values = number(1), number(1)
        if changes_values:
            is_absolute = number(1)
            offsets = [optional_signed(7) for _ in range(4)]
            for _ in range(4):
                optional_signed(6)
        for _ in range(3 * changes_map):
            if number(1):
                number(8)
    number(10)  # kind, level and sharpness of the loop filter
    if number(1) and number(1):
        for _ in range(8):
            optional_signed(6)
    number(2)  # partitions
    base = 0 if is_absolute else number(7)
    return min(max(round(base + sum(offsets) / len(offsets)), 0), 127)


def _header_bits(data: bytes) -> Iterator[int]:
    """Yield the bits of even probability that VP8's arithmetic coder wrote (RFC 6386, section 7).

    Behind the data are zeros, as many as any header needs.
    """
    value, place = int.from_bytes(data + bytes(64)), 8 * (len(data) + 63)
    width = 255
    while True:
        split = 1 + (width - 1) // 2
        bit = int(value >= split << place)
        if bit:
            value -= split << place
            width -= split
        else:
            width = split
        while width < 128:
            width <<= 1
            place -= 1
        yield bit
