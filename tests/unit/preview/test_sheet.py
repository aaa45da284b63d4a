import io

import numpy as np
import pytest
from PIL import Image

from imgbatch.adjustment import Adjustment
from imgbatch.images.display import open_photograph
from imgbatch.images.limits import Limits
from imgbatch.preview.sheet import CELL_WIDTH, GAP, LABEL_HEIGHT, contact_sheet, variants

PRESETS = {"bright": Adjustment(12, 8, 0), "flat": Adjustment(0, -25, 0)}


def photograph(size=(1000, 600), mode="RGB"):
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(file, "PNG")
    return open_photograph(file.getvalue(), Limits())


def cell(sheet, row, column, height=252):
    x, y = GAP + column * (CELL_WIDTH + GAP), GAP + row * (height + LABEL_HEIGHT + GAP)
    return sheet[y : y + height, x : x + CELL_WIDTH].astype(int)


def test_presets_make_a_row_of_their_own():
    assert [variant.label for variant in variants(PRESETS)[0]] == [
        "as it is", "bright: 12, 8, 0", "flat: 0, -25, 0",
    ]  # fmt: skip


def test_each_row_begins_with_the_photograph_as_it_is():
    assert all(row[0].adjustment.is_neutral for row in variants(PRESETS))


def test_the_sheet_shows_each_variant_in_its_place():
    rows = variants({})[1:]
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(photograph(), rows))))
    brighter = cell(sheet, 0, 4).mean() - cell(sheet, 0, 0).mean()
    assert brighter == pytest.approx(30, abs=6)
    assert cell(sheet, 1, 4).std() > 1.3 * cell(sheet, 1, 0).std()
    assert cell(sheet, 2, 4).std() > 1.2 * cell(sheet, 2, 0).std()


@pytest.mark.parametrize(("size", "mode"), [((1, 1), "L"), ((3, 900), "RGB"), ((900, 3), "LA")])
def test_photographs_of_any_shape_have_a_sheet(size, mode):
    sheet = contact_sheet(photograph(size, mode), variants(PRESETS))
    assert Image.open(io.BytesIO(sheet)).format == "JPEG"
