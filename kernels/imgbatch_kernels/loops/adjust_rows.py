"""The loops over samples, in the subset of Python that Numba compiles.

Rules of this folder:

1. A row function is one loop of straight-line arithmetic over contiguous samples. Channels are no
   concern of it: the neighbour to the east of a sample is the one `channels` further on.
2. Every intermediate result is cast back to the type it fits in. Numba widens integers to int64;
   LLVM narrows again only what is cast, and a vector holds four times as many int16 as int64. The
   coefficients reach the loops in the lanes' type, read from memory: given as int64, the
   multiplications are done in 64 bits (4.2 ms instead of 1.1 for 36 million samples in L1).
3. Memory is a pointer and an offset: a `Place`, which Numba dissolves into the two. Slices of
   arrays cost reference counts, 4.64 ms instead of 4.05 for those samples in rows of 1000 pixels,
   and an index that could be negative a test in every turn, which ends vectorisation.
4. No value overflows its type, except where low bits are taken on purpose. The same code therefore
   runs as plain Python over numpy arrays, with the same results.
5. No exceptions, no allocation, no call but those of this folder, so that the compiled code needs
   nothing of Python or Numba and can be kept in a file (see `compiled`).

These modules import numba, so they are themselves imported only when there is something to compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from numba import njit
from numpy import int16, int32, uint8, uint16

Loop: TypeAlias = Callable[..., Any]

jit: Callable[[Loop], Loop] = njit(error_model="numpy", nogil=True)

Samples: TypeAlias = Any
"""A pointer to samples: in compiled code that of C, in plain Python a flat numpy array."""


class Place(NamedTuple):
    """A sample in memory, with those that follow it."""

    samples: Samples
    at: int


@jit
def after(place: Place, count: int) -> Place:
    """Return the place so many samples further on."""
    return Place(place.samples, place.at + count)


# --- 8 bits: lanes of int16 -----------------------------------------------------------------------


@jit
def _factors_uint8(coefficients: Samples) -> tuple[uint16, uint16, int16, uint16, int16]:
    """Return slope, offset and weight as the functions below want them.

    Slope and offset are whole and fractional bytes, so that every product fits 16 bits: at most
    255 * 255 + 128 + 128 for the fraction. The last of them includes the half that rounds.
    """
    return (
        uint16(coefficients[0]),
        uint16(coefficients[1]),
        int16(coefficients[2]),
        uint16(coefficients[3] + 128),
        int16(coefficients[4] * 8),
    )


@jit
def _scale_offset_uint8(sample: int16, factors: tuple[Any, ...]) -> int16:
    """Brightness and contrast of one sample: ``(slope * v + offset) / 256``."""
    value = uint16(sample)
    low = uint16(uint16(value * factors[1]) + factors[3])
    scaled = int16(int16(int16(value * factors[0]) + factors[2]) + int16(low >> 8))
    # The half was added before the shift, so halves went up; a remainder of 0 was one.
    scaled = int16(scaled & int16(-2 if uint16(low & 255) == 0 else -1))
    return min(max(scaled, int16(0)), int16(255))


@jit
def _sharpen_uint8(sample: int16, around: int16, factors: tuple[Any, ...]) -> int16:
    """Sharpness of one sample: ``p + weight * (4 * p - around) / 256``.

    The difference is at most 1020 and the weight 256, so their product has 19 bits. Times 32 and
    times 8 they still fit int16, the product's high 16 bits are the quotient by 256, and its low
    16 bits the remainder times 256: `vpmulhw` and `vpmullw`, with no int32 anywhere. The high
    half must be written as a 32-bit product and a shift, the low half as a 16-bit product:
    written as two parts of one product it takes 7.6 ms instead of 2.0.
    """
    weight = factors[4]
    difference = int16(int16(int16(sample * 4) - around) * 32)
    high = int16((int32(difference) * int32(weight)) >> 16)
    low = uint16(uint16(difference) * uint16(weight))
    result = int16(sample + high)
    # Up if the remainder is above a half, or a half and the result odd: then, and only then, bit
    # 15 is set after 1 has been taken away, stopping at 0. Tried for 36 million samples in L1:
    # `(frac + 127 + (result & 1)) >> 8` 2.3 ms, a mask as above 2.06 ms, this 1.95 ms.
    tie = uint16(low | uint16(result & 1))
    tie = uint16(max(tie, uint16(1)) - uint16(1))
    result = int16(result + int16(tie >> 15))
    return min(max(result, int16(0)), int16(255))


# --- 16 bits: lanes of int32 ----------------------------------------------------------------------


@jit
def _factors_uint16(coefficients: Samples) -> tuple[int32, int32, int32]:
    """Return slope, offset with the half that rounds, and weight."""
    slope = int32(coefficients[0] * 256 + coefficients[1])
    offset = int32(coefficients[2] * 256 + coefficients[3] + 128)
    return slope, offset, int32(coefficients[4])


@jit
def _scale_offset_uint16(sample: int32, factors: tuple[Any, ...]) -> int32:
    """Brightness and contrast as for 8 bits; 65535 * 768 plus any offset fits int32."""
    scaled = int32(int32(sample * factors[0]) + factors[1])
    even = int32(-2 if int32(scaled & 255) == 0 else -1)
    scaled = int32(int32(scaled >> 8) & even)
    return min(max(scaled, int32(0)), int32(65535))


@jit
def _sharpen_uint16(sample: int32, around: int32, factors: tuple[Any, ...]) -> int32:
    """Sharpness as for 8 bits; 4 * 65535 * 256 fits int32."""
    change = int32(int32(int32(int32(sample * 4) - around) * factors[2]) + 128)
    result = int32(sample + int32(change >> 8))
    result = int32(result & int32(-2 if int32(change & 255) == 0 else -1))
    return min(max(result, int32(0)), int32(65535))


# --- Rows of either depth -------------------------------------------------------------------------


class Depth(NamedTuple):
    """The arithmetic of one depth: the types of a sample and of a lane, and the functions above."""

    sample: Any
    lane: Any
    factors: Loop
    scale_offset: Loop
    sharpen: Loop


UINT8 = Depth(uint8, int16, _factors_uint8, _scale_offset_uint8, _sharpen_uint8)
UINT16 = Depth(uint16, int32, _factors_uint16, _scale_offset_uint16, _sharpen_uint16)


def scale_offset_row_of(depth: Depth) -> Loop:
    """Return the loop that applies brightness and contrast."""
    sample, lane, factors_of, scale_offset, _ = depth

    @jit
    def scale_offset_row(target: Place, source: Place, count: int, coefficients: Samples) -> None:
        factors = factors_of(coefficients)
        for i in range(count):
            value = lane(source.samples[source.at + i])
            target.samples[target.at + i] = sample(scale_offset(value, factors))

    return scale_offset_row


def sharpen_row_of(depth: Depth, is_scaled: bool) -> Loop:
    """Return the loop that sharpens the samples at `middle`.

    `column` goes from the row above to the row below, which is read from `source`; unless
    `is_scaled`, brightness and contrast have to be applied to it.
    """
    sample, lane, factors_of, scale_offset, sharpen = depth

    @jit
    def sharpen_row(
        target: Place,
        source: Place,
        column: Place,
        middle: Place,
        channels: int,
        count: int,
        coefficients: Samples,
    ) -> None:
        factors = factors_of(coefficients)
        rows = column.samples  # and those of `middle`, which LLVM is to know
        for i in range(count):
            south = lane(source.samples[source.at + i])
            if not is_scaled:
                south = scale_offset(south, factors)
            at = middle.at + i
            beside = lane(lane(rows[at + channels]) + lane(rows[at - channels]))
            around = lane(lane(beside + lane(rows[column.at + i])) + south)
            rows[column.at + i] = sample(south)
            target.samples[target.at + i] = sample(sharpen(lane(rows[at]), around, factors))

    return sharpen_row


# --- Memory ---------------------------------------------------------------------------------------


@jit
def copy_row(target: Place, source: Place, count: int) -> None:
    """Copy samples."""
    for i in range(count):
        target.samples[target.at + i] = source.samples[source.at + i]


@jit
def keep_alpha(target: Place, source: Place, mask: Place, count: int) -> None:
    """Take the samples back whose mask is 0.

    A pass of its own over samples that are still in L1: a stride of 4 does not vectorise.
    """
    for i in range(count):
        colour = mask.samples[mask.at + i]
        adjusted = target.samples[target.at + i]
        target.samples[target.at + i] = (adjusted & colour) | (
            source.samples[source.at + i] & ~colour
        )


@jit
def fill_mask(mask: Place, channels: int, count: int) -> None:
    """All ones at colours, 0 at alpha, which is the last channel."""
    for i in range(count):
        mask.samples[mask.at + i] = 0
        mask.samples[mask.at + i] = ~mask.samples[mask.at + i]
    for i in range(channels - 1, count, channels):
        mask.samples[mask.at + i] = 0


@jit
def reflect_ends(row: Place, samples: int, channels: int) -> None:
    """Fill the pixels beside the first and the last: reflect 101, OpenCV's default border."""
    inwards = channels if samples > channels else 0
    rows, first, end = row.samples, row.at, row.at + samples
    for i in range(channels):
        rows[first - channels + i] = rows[first + inwards + i]
        rows[end + i] = rows[end - channels - inwards + i]
