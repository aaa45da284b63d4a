from __future__ import annotations

import os
import subprocess
import sys
import zlib

import pytest
from isal import isal_zlib
from tests.support import images

from imgbatch.images.deflate import deflate_bytes
from imgbatch.recipe import PngLevel


@pytest.mark.parametrize("level", PngLevel)
@pytest.mark.parametrize("size", [(0, 0), (1, 1), (7, 5), (100, 100)])
def test_bytes_are_deflated_to_a_zlib_stream(level, size):
    raw = images.pixels(*size).tobytes()
    assert zlib.decompress(deflate_bytes(raw, level)) == raw


def test_the_fast_level_is_isals_for_rows_as_for_bytes():
    rows = images.pixels(100, 100).reshape(100, 300)
    expected = isal_zlib.compress(rows.tobytes(), 1)
    assert deflate_bytes(rows, PngLevel.FAST) == deflate_bytes(rows.tobytes(), PngLevel.FAST)
    assert deflate_bytes(rows, PngLevel.FAST) == expected


FEW_BYTES = """
import hashlib, random
from imgbatch.images.deflate import deflate_bytes
from imgbatch.recipe import PngLevel
draw = random.Random(5)
digest = hashlib.md5()
for number in range(1500):
    raw = bytes(draw.choices(range(draw.choice([2, 3, 4, 6])), k=draw.randint(8, 600)))
    digest.update(deflate_bytes(raw, PngLevel.FAST))
print(digest.hexdigest())
"""


def test_few_bytes_are_the_same_stream_whatever_lay_in_memory_before():
    found = set()
    for fill in ("0", "85", "170"):  # what glibc writes into memory that is given out or back
        done = subprocess.run(
            [sys.executable, "-c", FEW_BYTES],
            env={**os.environ, "MALLOC_PERTURB_": fill},
            capture_output=True,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1
