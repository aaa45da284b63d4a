from __future__ import annotations

import pytest

from imgbatch.errors import Code, DamagedImage, RefusedImage, SkippedFile
from imgbatch.images import failures


@pytest.mark.parametrize(
    ("failure", "kind", "code", "way_out"),
    [
        (failures.truncated("x"), DamagedImage, Code.TRUNCATED_IMAGE, "--damaged salvage"),
        (failures.damaged("x"), DamagedImage, Code.DAMAGED_IMAGE, "--damaged salvage"),
        (failures.beyond_repair("x"), DamagedImage, Code.DAMAGED_IMAGE, "copy the file again"),
        (failures.unsupported("x"), RefusedImage, Code.UNSUPPORTED_IMAGE, "x"),
        (failures.several_pictures("x"), RefusedImage, Code.ANIMATED_IMAGE, "one picture"),
        (failures.unsupported_format("a GIF"), SkippedFile, Code.UNSUPPORTED_FORMAT, "a GIF"),
        (failures.not_an_image(), SkippedFile, Code.NOT_AN_IMAGE, "no image format"),
        (failures.empty_file(), DamagedImage, Code.EMPTY_FILE, "copy it again"),
    ],
)
def test_each_failure_has_its_kind_its_code_and_a_sentence(failure, kind, code, way_out):
    assert type(failure) is kind
    assert failure.code is code
    assert way_out in failure.sentence


def test_nothing_is_offered_that_would_not_help():
    assert "--damaged" not in failures.beyond_repair("x").sentence
