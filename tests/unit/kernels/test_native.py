import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from imgbatch_kernels import native, reference

PROJECT = Path(__file__).parents[3]
# x86-64 without more is SSE2: vectors of 128 bits, and no fused multiply-add.
PLAIN = {"NUMBA_CPU_NAME": "generic"}
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}


def start(*words: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", *words],
        cwd=PROJECT,
        env=os.environ | variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def parity(longest: int, **variables: str) -> dict[str, object]:
    return json.loads(finish(start("-m", "tests.unit.kernels.parity", str(longest), **variables)))


def test_a_kernel_is_made_ready_only_once():
    assert native.kernel("uint8") is native.kernel("uint8")


def test_the_loops_give_the_same_pixels_as_plain_python():
    assert parity(22, NUMBA_DISABLE_JIT="1")["compared"] == 480


@pytest.fixture(scope="module")
def warmed(tmp_path_factory):
    """Return a cache for the plainest processor that two processes filled at the same time."""
    folder = tmp_path_factory.mktemp("cache")
    variables = PLAIN | {"NUMBA_CACHE_DIR": str(folder)}
    words = "-m", "tests.unit.kernels.parity", "300"
    both = [start(*words, **variables), start(*words, **variables)]
    assert [json.loads(finish(one))["compared"] for one in both] == [960, 960]
    return folder


def test_processes_that_warm_up_at_once_leave_whole_kernels_on_the_plainest_processor(warmed):
    names = sorted(file.name for file in warmed.rglob("*") if file.is_file())
    assert [name.split("-")[1] for name in names] == ["uint16", "uint8"]
    found = parity(300, NUMBA_CACHE_DIR=str(warmed), **PLAIN)
    assert found == {"compared": 960, "imported_a_compiler": False}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names a processor of x86")
def test_the_pixels_are_the_same_on_a_processor_with_avx2_and_fused_multiply_add(tmp_path):
    variables = AVX2 | {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert parity(300, **variables) == {"compared": 960, "imported_a_compiler": True}


def test_threads_that_need_a_kernel_at_once_all_get_it(monkeypatch):
    made = []
    monkeypatch.setattr(native, "_kernels", {})
    real = native._compiled
    monkeypatch.setattr(native, "_compiled", lambda name: made.append(name) or real(name))
    with ThreadPoolExecutor(8) as pool:
        kernels = list(pool.map(native.kernel, ["uint8"] * 8))
    assert made == ["uint8"]
    assert all(one is kernels[0] for one in kernels)


def test_where_no_folder_can_be_made_it_works_and_says_so_once(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_bytes(b"")
    code = (
        "import warnings, numpy as np\n"
        "from pathlib import Path\n"
        "import imgbatch_kernels as kernels\n"
        "from imgbatch_kernels import cache, reference\n"
        f"nowhere = Path({str(nowhere)!r})\n"
        "cache.places = lambda: iter([nowhere])\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    kernels.warm_up()\n"
        "assert [w.category for w in said] == [cache.Unkept], said\n"
        "assert str(nowhere) in str(said[0].message)\n"
        "image = np.arange(600, dtype=np.uint16).reshape(10, 20, 3)\n"
        "pixels = kernels.adjust(image, contrast=9, sharpness=50)\n"
        "assert (pixels == reference.adjust(image, contrast=9, sharpness=50)).all()\n"
    )
    finish(start("-c", code))


def test_a_damaged_file_is_replaced_by_a_good_one(warmed, tmp_path):
    shutil.copytree(warmed, tmp_path, dirs_exist_ok=True)
    variables = PLAIN | {"NUMBA_CACHE_DIR": str(tmp_path)}
    files = sorted(tmp_path.rglob("*.kernel"))
    good = [file.read_bytes() for file in files]
    files[0].write_bytes(good[0][: len(good[0]) // 2])
    flipped = bytearray(good[1])
    flipped[len(flipped) // 2] ^= 4
    files[1].write_bytes(flipped)
    assert parity(22, **variables)["imported_a_compiler"] is True
    assert [file.read_bytes() for file in files] == good
    assert parity(22, **variables)["imported_a_compiler"] is False


def test_code_that_cannot_be_kept_is_compiled_by_numba_for_this_process(monkeypatch):
    from imgbatch_kernels import cache, compiler

    def refuse(callback: object, symbol: str) -> bytes:
        raise compiler.ForeignSymbolError(symbol)

    monkeypatch.setattr(native, "_kernels", {})
    monkeypatch.setattr(cache, "read", lambda name: None)
    monkeypatch.setattr(compiler, "kept_code", refuse)
    image = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    from imgbatch_kernels import adjust

    np.testing.assert_array_equal(
        adjust(image, contrast=20, sharpness=40),
        reference.adjust(image, contrast=20, sharpness=40),
    )
