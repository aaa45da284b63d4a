"""A contact sheet: variants of a photograph side by side, for terminals without a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgbatch.adjustment import Adjustment
from imgbatch.images.display import for_screen, full_pixels, scaled_pixels, to_jpeg
from imgbatch.preview.process import Box
from imgbatch.preview.rendering import adjusted, adjusted_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.ImageFont import FreeTypeFont, ImageFont

    from imgbatch.images.display import Photograph, Screen

CELL_WIDTH = 420
LARGEST_CELL_HEIGHT = 420
GAP = 16
LABEL_HEIGHT = 30
LABEL_SIZE = 17
GROUND = (246, 246, 245)
INK = (40, 40, 38)
SHEET_QUALITY = 90

ROWS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("brightness", (-20, 10, 20, 30)),
    ("contrast", (-20, 15, 30, 45)),
    ("sharpness", (25, 50, 75, 100)),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One cell of the sheet: what is done, what is written below, and whether at 100 %."""

    label: str
    adjustment: Adjustment
    in_full: bool = False


def variants(presets: Mapping[str, Adjustment]) -> list[list[Variant]]:
    """Return the rows of the sheet, each beginning with the photograph as it is."""
    rows = []
    if presets:
        named = [Variant(_label_of(name, preset), preset) for name, preset in presets.items()]
        rows.append([Variant("as it is", Adjustment()), *named])
    for factor, values in ROWS:
        in_full = factor == "sharpness"  # on a scaled picture it would look stronger than it is
        note = ", part at 100 %" if in_full else ""
        row = [Variant(f"as it is{note}", Adjustment(), in_full)]
        for value in values:
            label = f"{factor} {value}"
            row.append(Variant(label, Adjustment(**{factor: value}), in_full))
        rows.append(row)
    return rows


def contact_sheet(photograph: Photograph, rows: Sequence[Sequence[Variant]]) -> bytes:
    """Return a JPEG of all variants.

    Parameters
    ----------
    photograph
        The photograph, read but not decoded.
    rows
        What each cell shows, as `variants` returns it.

    Raises
    ------
    ImageError
        If it can't be decoded.
    """
    from PIL import Image, ImageDraw, ImageFont

    small = scaled_pixels(photograph, CELL_WIDTH, LARGEST_CELL_HEIGHT)
    cell_height, cell_width = small.shape[:2]
    full = full_pixels(photograph)
    box = _middle(full.shape[1], full.shape[0], cell_width, cell_height)
    columns = max(len(row) for row in rows)
    step_x, step_y = cell_width + GAP, cell_height + LABEL_HEIGHT + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, len(rows) * step_y + GAP), GROUND)
    pencil = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(LABEL_SIZE)
    for row_number, row in enumerate(rows):
        for column, variant in enumerate(row):
            at = GAP + column * step_x, GAP + row_number * step_y
            pixels = (
                adjusted_part(full, box, variant.adjustment)
                if variant.in_full
                else adjusted(small, variant.adjustment)
            )
            sheet.paste(Image.fromarray(_as_rgb(for_screen(pixels))), at)
            label = _shortened(variant.label, font, cell_width)
            pencil.text((at[0], at[1] + cell_height + 6), label, INK, font)
    return to_jpeg(np.array(sheet), SHEET_QUALITY, icc=photograph.icc)


def _middle(width: int, height: int, part_width: int, part_height: int) -> Box:
    box = Box((width - part_width) // 2, (height - part_height) // 2, part_width, part_height)
    return box.within(width, height)


def _as_rgb(screen: Screen) -> Screen:
    return np.ascontiguousarray(np.broadcast_to(screen, (*screen.shape[:2], 3)))


def _label_of(name: str, preset: Adjustment) -> str:
    return f"{name}: {preset.brightness}, {preset.contrast}, {preset.sharpness}"


def _shortened(label: str, font: ImageFont | FreeTypeFont, room: int) -> str:
    if font.getlength(label) <= room:
        return label
    while label and font.getlength(label + "…") > room:
        label = label[:-1]
    return label + "…"
