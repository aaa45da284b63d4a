"""A contact sheet: variants of a photograph side by side, for terminals without a browser."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgbatch.adjustment import Adjustment
from imgbatch.images.display import for_screen, full_pixels, scaled_pixels, to_jpeg
from imgbatch.preview.process import Box
from imgbatch.preview.rendering import adjusted, adjusted_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgbatch.images.display import Photograph

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
    rows = [[Variant("as it is", Adjustment())]]
    for name, preset in presets.items():
        factors = ", ".join(str(value) for value in asdict(preset).values())
        rows[0].append(Variant(f"{name}: {factors}", preset))
    for factor, values in ROWS:
        in_full = factor == "sharpness"  # on a scaled picture it would look stronger than it is
        note = ", part at 100 %" if in_full else ""
        adjusted_so = [
            Variant(f"{factor} {value}", Adjustment(**{factor: value}), in_full) for value in values
        ]
        rows.append([Variant(f"as it is{note}", Adjustment(), in_full), *adjusted_so])
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
    full = full_pixels(photograph)
    (cell_height, cell_width), (height, width) = small.shape[:2], full.shape[:2]
    middle = (width - cell_width) // 2, (height - cell_height) // 2
    box = Box(*middle, cell_width, cell_height).within(width, height)
    font = ImageFont.load_default(LABEL_SIZE)
    label_width = max(font.getlength(variant.label) for row in rows for variant in row)
    step_x, step_y = max(cell_width, int(label_width)) + GAP, cell_height + LABEL_HEIGHT + GAP
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * step_y + GAP, columns * step_x + GAP, 3), GROUND, np.uint8)
    labels = []
    for row_number, row in enumerate(rows):
        for column, variant in enumerate(row):
            x, y = GAP + column * step_x, GAP + row_number * step_y
            pixels = (
                adjusted_part(full, box, variant.adjustment)
                if variant.in_full
                else adjusted(small, variant.adjustment)
            )
            sheet[y : y + pixels.shape[0], x : x + pixels.shape[1]] = for_screen(pixels)
            labels.append(((x, y + cell_height + 6), variant.label))
    image = Image.fromarray(sheet)
    pencil = ImageDraw.Draw(image)
    for place, label in labels:
        pencil.text(place, label, INK, font)
    return to_jpeg(np.array(image), SHEET_QUALITY, icc=photograph.icc)
