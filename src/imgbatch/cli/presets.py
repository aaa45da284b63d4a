"""Adjustments that have a name."""

from __future__ import annotations

from imgbatch.adjustment import Adjustment

PRESETS: dict[str, Adjustment] = {
    "punchy": Adjustment(contrast=15, sharpness=30),
    "bright": Adjustment(brightness=12, contrast=8),
    "crisp": Adjustment(contrast=5, sharpness=45),
    "flat": Adjustment(brightness=4, contrast=-25),
}
"""Mild on purpose: what helps most photographs of a folder and hurts none of the others."""
