from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgbatch.images.png_native import ADAPTIVE, PAETH, filter_rows, unfilter_rows

PROGRAM = """
import sys
import numpy as np
from imgbatch.images.png_native import filter_rows
rows = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(5, -1)
out = np.empty((5, rows.shape[1] + 1), np.uint8)
filter_rows(rows, out, np.empty((2, rows.shape[1]), np.uint8), 3, int(sys.argv[1]))
sys.stderr.write(str('numba' in sys.modules))
sys.stdout.buffer.write(out.tobytes())
"""

ROWS = np.random.default_rng(5).integers(0, 256, (5, 33)).astype(np.uint8)


def filtered(kind: int) -> bytes:
    out = np.empty((5, 34), np.uint8)
    filter_rows(ROWS, out, np.empty((2, 33), np.uint8), 3, kind)
    return out.tobytes()


def in_another_process(kind: int, **environment: str) -> tuple[bytes, bool]:
    """Return what it filtered, and whether it imported numba."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(kind)],
        input=ROWS.tobytes(),
        capture_output=True,
        env={**os.environ, **environment},
        check=True,
    )
    return done.stdout, done.stderr == b"True"


def test_numba_is_not_imported_where_the_code_is_kept():
    expected = filtered(PAETH)  # and keeps the code
    assert in_another_process(PAETH) == (expected, False)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_code_that_is_damaged_is_not_run(damage, tmp_path):
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    (tmp_path / "imgbatch_kernels").mkdir(mode=0o700)
    name = kept_name()
    whole = b"\0" * 4000
    changes = {"flip": whole[:2000] + b"\1" + whole[2001:], "truncate": whole[:99], "empty": b""}
    damaged = tmp_path / "imgbatch_kernels" / name
    damaged.write_bytes(changes[damage])
    assert in_another_process(PAETH, **place)[0] == filtered(PAETH)


def kept_name() -> str:
    program = "from imgbatch.images.png_native import _file_name; print(_file_name(None))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", range(ADAPTIVE + 1))
def test_the_loops_do_the_same_as_plain_python(kind):
    assert in_another_process(kind, NUMBA_DISABLE_JIT="1")[0] == filtered(kind)


def in_a_process_that_must_not_fail(program: str, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("step", [None, 1, 2, 3, 4, 6, 8])
def test_compiled_code_calls_nothing_outside_itself(step):
    in_a_process_that_must_not_fail(
        "from imgbatch.images import png_native\n"
        "from imgbatch_kernels import compiler, image\n"
        f"code = compiler.kept_code(png_native._compiled({step}), 'a_symbol')\n"
        f"assert image.is_image(code) or {platform.machine() != 'x86_64'}"
    )


UNFILTERING = """
import sys
import numpy as np
from imgbatch.images.png_native import unfilter_rows
band = np.zeros(4 * 2 + 8, np.uint8)
band[[3, 4, 5, 7]] = (7, 1, 1, 9)
out = np.empty((3, 1), np.uint8)
assert unfilter_rows(band, out, 1) is True
assert out.tolist() == [[7], [1], [9]]
"""


def test_numba_is_not_imported_where_the_code_that_undoes_filters_is_kept():
    in_a_process_that_must_not_fail(UNFILTERING)  # keeps it
    in_a_process_that_must_not_fail(UNFILTERING + "assert 'numba' not in sys.modules")


def test_filters_are_undone_without_the_compiler_too():
    in_a_process_that_must_not_fail(UNFILTERING, NUMBA_DISABLE_JIT="1")


@pytest.mark.parametrize(
    ("band_bytes", "out_shape", "step"), [(15, (3, 1), 1), (17, (3, 1), 1), (20, (2, 3), 2)]
)
def test_sizes_that_do_not_belong_together_are_no_address_to_write_to(band_bytes, out_shape, step):
    with pytest.raises(ValueError, match="samples"):
        unfilter_rows(np.zeros(band_bytes, np.uint8), np.zeros(out_shape, np.uint8), step)
