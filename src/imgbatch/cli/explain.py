"""The exact arithmetic of an adjustment, in words and numbers."""

from __future__ import annotations

from imgbatch.adjustment import Adjustment

_SHOWN = (0, 64, 128, 192, 255)


def explain(adjustment: Adjustment) -> str:
    """Return what is done to each sample of an 8-bit image, and to what end."""
    from imgbatch_kernels.coefficients import UNIT, coefficients_of

    factors = (adjustment.brightness, adjustment.contrast, adjustment.sharpness)
    slope, offset, weight = coefficients_of(*factors, 8)
    k = weight / UNIT
    sign = "-" if offset < 0 else "+"
    lines = [f"brightness {factors[0]}, contrast {factors[1]}, sharpness {factors[2]}", ""]
    if adjustment.is_neutral:
        lines += ["All three are 0: every pixel stays as it is.", ""]
    lines += [
        "Each colour sample v (0..255) of an 8-bit image becomes, rounded with halves to even",
        "and limited to 0..255 after each step:",
        "",
        "  1. brightness and contrast",
        f"       p = ({slope}·v {sign} {abs(offset)}) / {UNIT}",
        f"     a slope of {slope / UNIT:.4g} about mid-grey 128, and {factors[0]:+d} levels:",
        f"       {_points(slope, offset, UNIT)}",
        "  2. sharpness, from p and its neighbours north, south, east and west",
        f"       q = p + {weight}/{UNIT}·(4·p - n - s - e - w)",
        f"     the kernel [[0, {-k:g}, 0], [{-k:g}, {1 + 4 * k:g}, {-k:g}], [0, {-k:g}, 0]];",
        "     at the border, the row or column one further in stands for the missing one",
        "",
        "16-bit images: the same on 0..65535, a level being 257 and mid-grey 32768.",
        "Transparency is never changed. Slope and weight are rounded to the nearest 1/256, which",
        "makes every sum exact: OpenCV's addWeighted and filter2D give the same, bit for bit.",
    ]
    return "\n".join(lines)


def _points(slope: int, offset: int, unit: int) -> str:
    results = (round((slope * v + offset) / unit) for v in _SHOWN)
    pairs = zip(_SHOWN, results, strict=True)
    return ", ".join(f"{before} → {min(255, max(0, after))}" for before, after in pairs)
