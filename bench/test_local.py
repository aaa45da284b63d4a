"""One machine: imgbatch against what a user would write or run instead, and against the floor."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.harness.results import Race
from bench.harness.session import Session

TOKYO = {
    "imgbatch": 7,
    "imgbatch with page": 3,
    "codec floor": 7,
    "opencv pool": 7,
    "pyvips": 7,
    "pillow": 7,
    "graphicsmagick": 3,
    "imagemagick": 3,
    "imagemagick everyday": 3,
}
CROPS = dict.fromkeys(("imgbatch", "codec floor", "opencv pool", "pyvips", "pillow"), 7)
PNG = dict.fromkeys(("imgbatch", "opencv pool", "pyvips", "pillow"), 5)

RACES = {"tokyo": TOKYO, "crops": CROPS, "tokyo-png": PNG, "crops-png": PNG}


@pytest.mark.parametrize(
    ("set_name", "contender"),
    [(set_name, contender) for set_name, rounds in RACES.items() for contender in rounds],
)
def test_a_folder_on_this_machine(
    bench: Session, show: Callable[[Race, str], None], set_name: str, contender: str
) -> None:
    show(bench.local_race(set_name, RACES[set_name]), contender)
