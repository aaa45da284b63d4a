from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgbatch.images.png_native import ADAPTIVE, PAETH, filter_rows

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
    assert in_another_process(PAETH) == (filtered(PAETH), False)


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
    program = "from imgbatch.images.png_native import _key; print(f'png-filter-{_key()}.kernel')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", range(ADAPTIVE + 1))
def test_the_loops_do_the_same_as_plain_python(kind):
    assert in_another_process(kind, NUMBA_DISABLE_JIT="1")[0] == filtered(kind)


def test_compiled_code_calls_nothing_outside_itself():
    program = (
        "from imgbatch.images import png_native as native\n"
        "assert native._object_code(native._compiled()) is not None"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent)
