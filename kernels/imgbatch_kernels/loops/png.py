"""PNG's row filters (W3C PNG, section 9), applied and undone.

The rules at the top of `adjust_rows` hold here too. Applying a filter is a loop over whole rows
that vectorises. Undoing Sub, Average and Paeth is one long chain, since each pixel is predicted
from the one on its left; only the bytes of one pixel do not depend on each other. For pixels of
three bytes that is, in GB/s: Sub 4, Up 18, Average 1.8, Paeth 0.9; isal inflates photographs at
0.75.
"""

from __future__ import annotations

from numpy import int16, int64, uint8, uint16, uint32

from imgbatch_kernels.loops import ADAPTIVE, AVERAGE, NONE, PAETH, PIXEL_BYTES, SUB, UP
from imgbatch_kernels.loops.adjust_rows import Loop, Place, Samples, after, copy_row, jit

# --- Filters applied ------------------------------------------------------------------------------


@jit
def _difference(target: Place, row: Place, predicted: Place, count: int) -> None:
    for i in range(count):
        difference = row.samples[row.at + i] - predicted.samples[predicted.at + i]
        target.samples[target.at + i] = uint8(difference)


@jit
def _average(target: Place, row: Place, left: Place, above: Place, count: int) -> None:
    for i in range(count):
        total = uint16(left.samples[left.at + i]) + uint16(above.samples[above.at + i])
        mean = uint8(uint16(total) >> 1)
        target.samples[target.at + i] = uint8(row.samples[row.at + i] - mean)


@jit
def _paeth(target: Place, row: Place, left: Place, above: Place, corner: Place, count: int) -> None:
    """Predict by whichever neighbour is nearest to left + above - corner; the first if equal."""
    for i in range(count):
        a = int16(left.samples[left.at + i])
        b = int16(above.samples[above.at + i])
        c = int16(corner.samples[corner.at + i])
        to_left = abs(int16(b - c))
        to_above = abs(int16(a - c))
        to_corner = abs(int16(int16(a + b) - int16(c + c)))
        of_two = b if to_above <= to_corner else c
        nearest = a if to_left <= min(to_above, to_corner) else of_two
        target.samples[target.at + i] = uint8(int16(row.samples[row.at + i]) - nearest)


@jit
def _weight(row: Place, count: int) -> uint32:
    """Sum the distances of bytes from 0, counted round the circle of 256."""
    total = uint32(0)
    for i in range(count):
        value = uint8(row.samples[row.at + i])
        total = uint32(total + min(value, uint8(0 - value)))
    return total


@jit
def _filter_row(
    target: Place, row: Place, above: Place, pixel_bytes: int, row_bytes: int, kind: int
) -> None:
    """Filter one row; its first pixel has zeros on its left."""
    rest = row_bytes - pixel_bytes
    target_rest, row_rest = after(target, pixel_bytes), after(row, pixel_bytes)
    above_rest = after(above, pixel_bytes)
    if kind == NONE:
        copy_row(target, row, row_bytes)
    elif kind == SUB:
        copy_row(target, row, pixel_bytes)
        _difference(target_rest, row_rest, row, rest)
    elif kind == UP:
        _difference(target, row, above, row_bytes)
    elif kind == AVERAGE:
        for i in range(pixel_bytes):
            mean = above.samples[above.at + i] >> 1
            target.samples[target.at + i] = uint8(row.samples[row.at + i] - mean)
        _average(target_rest, row_rest, row, above_rest, rest)
    else:
        _difference(target, row, above, pixel_bytes)
        _paeth(target_rest, row_rest, row, above_rest, above, rest)


@jit
def _filter_lightest(
    target: Place, row: Place, above: Place, trial: Place, pixel_bytes: int, row_bytes: int
) -> int:
    """Filter one row by the filter whose output is nearest to zero, and return which it is."""
    chosen, lightest = NONE, uint32(0)
    for kind in range(ADAPTIVE):
        _filter_row(trial, row, above, pixel_bytes, row_bytes, kind)
        weight = _weight(trial, row_bytes)
        if kind == NONE or weight < lightest:
            chosen, lightest = kind, weight
            copy_row(target, trial, row_bytes)
    return chosen


def filter_rows(rows: Samples, out: Samples, scratch: Samples, shape: Samples) -> None:
    """Filter every row.

    Parameters
    ----------
    rows
        uint8: rows without gaps, samples big-endian.
    out
        uint8: each row with its filter in front.
    scratch
        uint8: room for two rows.
    shape
        int64: rows; bytes of a row; bytes of a pixel; the filter, 0..4 or `ADAPTIVE`.
    """
    height, row_bytes, pixel_bytes, kind = shape[0], shape[1], shape[2], shape[3]
    above, trial = Place(scratch, 0), Place(scratch, row_bytes)
    for i in range(row_bytes):
        scratch[i] = 0
    for y in range(height):
        row, start = Place(rows, y * row_bytes), y * (row_bytes + 1)
        target = Place(out, start + 1)
        if kind == ADAPTIVE:
            out[start] = _filter_lightest(target, row, above, trial, pixel_bytes, row_bytes)
        else:
            out[start] = kind
            _filter_row(target, row, above, pixel_bytes, row_bytes, kind)
        above = row


# --- Filters undone -------------------------------------------------------------------------------


@jit
def _undo_up(row: Place, above: Place, count: int) -> None:
    for i in range(count):
        value = row.samples[row.at + i] + above.samples[above.at + i]
        row.samples[row.at + i] = uint8(value)


@jit
def _nearest(left: int, up: int, corner: int) -> int:
    """Return what Paeth predicts, by two comparisons in place of three distances.

    Each becomes a conditional move; by distances LLVM makes jumps of them, which photographs
    mispredict: 0.94 in place of 0.36 GB/s for pixels of three bytes.
    """
    low, high = min(left, up), max(left, up)
    middle = 3 * corner - left - up
    not_low = high if middle <= low else corner
    return low if high <= middle else not_low


def _undoing_loops_of(pixel_bytes: int) -> tuple[Loop, Loop, Loop]:
    """Return the loops over a row whose pixels have so many bytes: for Sub, Average, Paeth."""
    # LLVM unrolls the innermost loops, so that the chains of a pixel's bytes run side by side. Of
    # 6 bytes it would make vectors that wait for each other, 0.8 GB/s in place of 4.5: for Sub,
    # four bytes are the most at a time.
    together = pixel_bytes if pixel_bytes <= 4 else pixel_bytes // 2

    @jit
    def undo_sub(row: Place, count: int) -> None:
        samples, end = row.samples, row.at + count
        for first in range(row.at + pixel_bytes, row.at + 2 * pixel_bytes, together):
            for at in range(first, end, pixel_bytes):
                for i in range(at, at + together):
                    samples[i] = uint8(samples[i] + samples[i - pixel_bytes])

    @jit
    def undo_average(row: Place, above: Place, count: int) -> None:
        samples, behind = row.samples, above.at - row.at
        for i in range(row.at, row.at + pixel_bytes):
            samples[i] = uint8(samples[i] + (samples[i + behind] >> 1))
        for at in range(row.at + pixel_bytes, row.at + count, pixel_bytes):
            for i in range(at, at + pixel_bytes):
                total = int64(samples[i - pixel_bytes]) + int64(samples[i + behind])
                samples[i] = uint8(samples[i] + (total >> 1))

    @jit
    def undo_paeth(row: Place, above: Place, count: int) -> None:
        samples, behind = row.samples, above.at - row.at
        for i in range(row.at, row.at + pixel_bytes):
            samples[i] = uint8(samples[i] + samples[i + behind])
        for at in range(row.at + pixel_bytes, row.at + count, pixel_bytes):
            for i in range(at, at + pixel_bytes):
                left, up = int64(samples[i - pixel_bytes]), int64(samples[i + behind])
                corner = int64(samples[i + behind - pixel_bytes])
                samples[i] = uint8(samples[i] + _nearest(left, up, corner))

    return undo_sub, undo_average, undo_paeth


def unfilter_rows_of(pixel_bytes: int) -> Loop:
    """Return the loop over rows whose pixels have so many bytes.

    It takes four pointers:

    ``band``
        uint8: the row above the band, and the band's filtered rows, each with a byte for the
        filter in front. Rows are unfiltered in place, and the last becomes the row above.
    ``out``
        uint8: where the rows go, without gaps.
    ``shape``
        int64: rows; bytes of a row.
    ``is_known``
        uint8: becomes 1 if every filter is one that there is; else rows are missing.
    """
    undo_sub, undo_average, undo_paeth = _undoing_loops_of(pixel_bytes)

    def unfilter_rows(band: Samples, out: Samples, shape: Samples, is_known: Samples) -> None:
        rows, row_bytes = shape[0], shape[1]
        above = Place(band, 1)
        is_known[0] = 0
        for y in range(rows):
            row = after(above, row_bytes + 1)
            kind = band[row.at - 1]
            if kind == SUB:
                undo_sub(row, row_bytes)
            elif kind == UP:
                _undo_up(row, above, row_bytes)
            elif kind == AVERAGE:
                undo_average(row, above, row_bytes)
            elif kind == PAETH:
                undo_paeth(row, above, row_bytes)
            elif kind != NONE:
                return
            copy_row(Place(out, y * row_bytes), row, row_bytes)
            above = row
        copy_row(Place(band, 1), above, row_bytes)
        is_known[0] = 1

    return unfilter_rows


KERNELS = {
    "png-filter": filter_rows,
    **{f"png-unfilter-{size}": unfilter_rows_of(size) for size in PIXEL_BYTES},
}
