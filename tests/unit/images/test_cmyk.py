from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.support import images

from imgbatch.images.pillow import cmyk_to_srgb
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Recipe

INKS = np.array(
    [[(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]], np.uint8
)
LIGHT = [[(255, 255, 255), (0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)]]


@pytest.mark.parametrize("icc", [None, b"no profile", images.profile()], ids=["none", "bad", "rgb"])
def test_without_a_profile_for_inks_the_plain_formula_holds(icc):
    assert cmyk_to_srgb(Image.fromarray(INKS, "CMYK"), icc).tolist() == [
        [list(colour) for colour in LIGHT[0]]
    ]


def test_a_jpeg_of_ink_is_not_inverted_and_says_what_became_of_it():
    inks = np.repeat(np.repeat(INKS, 16, axis=0), 16, axis=1)
    source = images.pillow_file(Image.fromarray(inks, "CMYK"), "JPEG", quality=95)
    processed = Pipeline().run(source, Recipe())
    written = images.opened(processed.data)
    assert written.mode == "RGB"
    found = np.asarray(written)[8, 8::16].astype(int)
    assert abs(found - np.array(LIGHT[0])).max() < 12
    assert processed.notes == ("cmyk-converted",)
    assert "adobe" not in written.info
