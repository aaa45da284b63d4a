from __future__ import annotations

import pytest

from imgbatch.adjustment import Adjustment
from imgbatch.cli.presets import PRESETS


def test_the_presets_are_the_four_that_are_promised() -> None:
    assert list(PRESETS) == ["punchy", "bright", "crisp", "flat"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_changes_something_and_is_mild(name: str) -> None:
    preset: Adjustment = PRESETS[name]
    assert not preset.is_neutral
    assert max(abs(preset.brightness), abs(preset.contrast), preset.sharpness) <= 50
