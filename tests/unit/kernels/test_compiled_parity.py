import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from imgbatch_kernels import adjust, compiled, reference

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
    assert compiled.kernel("adjust-uint8") is compiled.kernel("adjust-uint8")


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
    assert ["-".join(name.split("-")[:2]) for name in names] == ["adjust-uint16", "adjust-uint8"]
    found = parity(300, NUMBA_CACHE_DIR=str(warmed), **PLAIN)
    assert found == {"compared": 960, "imported_numba": False}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names a processor of x86")
def test_the_pixels_are_the_same_on_a_processor_with_avx2_and_fused_multiply_add(tmp_path):
    variables = AVX2 | {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert parity(300, **variables) == {"compared": 960, "imported_numba": True}


def test_threads_that_need_a_kernel_at_once_all_get_it(monkeypatch):
    made = []
    monkeypatch.setattr(compiled, "_ready", {})
    real = compiled._loaded
    monkeypatch.setattr(compiled, "_loaded", lambda name: made.append(name) or real(name))
    with ThreadPoolExecutor(8) as pool:
        kernels = list(pool.map(compiled.kernel, ["adjust-uint8"] * 8))
    assert made == ["adjust-uint8"]
    assert all(one is kernels[0] for one in kernels)


def test_where_no_folder_can_be_made_it_works_and_says_so_once(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_bytes(b"")
    code = (
        "import warnings, numpy as np\n"
        "from pathlib import Path\n"
        "import imgbatch_kernels as kernels\n"
        "from imgbatch_kernels import compiled, reference\n"
        f"nowhere = Path({str(nowhere)!r})\n"
        "compiled.places = lambda: iter([nowhere])\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    compiled.kernel('adjust-uint16')\n"
        "    compiled.kernel('png-filter')\n"
        "assert [w.category for w in said] == [compiled.Unkept], said\n"
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
    assert parity(22, **variables)["imported_numba"] is True
    assert [file.read_bytes() for file in files[2:]] == good[2:]
    # Compiled twice, code may differ in some bytes (1 in 6 times); what counts is that it loads.
    assert parity(22, **variables)["imported_numba"] is False


@pytest.mark.parametrize("name", compiled.KERNELS)
def test_compiled_code_calls_nothing_of_python(name):
    assert compiled.object_code(name, compiled._compiled(name))


def test_code_that_calls_into_python_is_not_kept(monkeypatch):
    callback = compiled._compiled("png-filter")
    code = callback.inspect_llvm()
    end = code.rindex("  ret ")
    called = f"{code[:end]}  call void @PyErr_Print()\n{code[end:]}"
    monkeypatch.setattr(
        type(callback), "inspect_llvm", lambda self: f"{called}\ndeclare void @PyErr_Print()\n"
    )
    assert compiled.object_code("png-filter", callback) is None


def test_code_that_cannot_be_kept_is_compiled_by_numba_for_this_process(monkeypatch):
    monkeypatch.setattr(compiled, "_ready", {})
    monkeypatch.setattr(compiled, "read", lambda file: None)
    monkeypatch.setattr(compiled, "object_code", lambda name, callback: None)
    image = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(
        adjust(image, contrast=20, sharpness=40),
        reference.adjust(image, contrast=20, sharpness=40),
    )


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads instructions of x86")
def test_the_loops_for_8_bits_are_vectors_of_16_bit_lanes():
    text = compiled.assembly("adjust-uint8")
    widest = "zmm" if "zmm" in text else "ymm" if "ymm" in text else "xmm"
    assert re.search(rf"pmulhw\s.*{widest}", text)
    assert re.search(rf"pmullw\s.*{widest}", text)
    assert not re.search(r"pmul(dq|udq|lq|ld)\s", text)


def test_loading_a_kernel_starts_no_thread_imports_no_numba_and_leaves_a_process_that_may_fork():
    compiled.kernel("adjust-uint8")  # and keeps it
    finish(
        start(
            "-c",
            "import os, sys\n"
            "from imgbatch_kernels import compiled\n"
            "assert compiled.is_cached(['adjust-uint8'])\n"
            "compiled.kernel('adjust-uint8')\n"
            "assert len(os.listdir('/proc/self/task')) == 1\n"
            "assert not {'numba', 'numpy'} & set(sys.modules)\n"
            "child = os.fork()\n"
            "import numpy as np\n"
            "from imgbatch_kernels import adjust\n"
            "assert adjust(np.zeros((5, 5), np.uint8), brightness=9).max() == 9\n"
            "assert child == 0 or os.waitpid(child, 0)[1] == 0\n",
        )
    )


def test_preloading_takes_a_kernel_from_the_cache_and_compiles_none(tmp_path):
    code = (
        "import sys\n"
        "from imgbatch_kernels import compiled\n"
        "compiled.preload()\n"
        "assert list(compiled._ready) == sys.argv[1:]\n"
        "assert 'numba' not in sys.modules\n"
    )
    variables = PLAIN | {"NUMBA_CACHE_DIR": str(tmp_path)}
    finish(start("-c", code, **variables))
    finish(
        start("-c", "from imgbatch_kernels.compiled import *; kernel('adjust-uint8')", **variables)
    )
    finish(start("-c", code, "adjust-uint8", **variables))
    finish(start("-c", code, **variables, NUMBA_DISABLE_JIT="1"))


def test_a_kernel_is_known_to_be_cached_when_it_was_compiled_and_not_before(tmp_path):
    code = (
        "import sys\n"
        "from imgbatch_kernels import compiled\n"
        "assert not compiled.is_cached(['png-filter'])\n"
        "assert 'numba' not in sys.modules\n"
        "compiled.kernel('png-filter')\n"
        "assert compiled.is_cached(['png-filter'])\n"
        "assert not compiled.is_cached()\n"
    )
    finish(
        start(
            "-c", code, NUMBA_CACHE_DIR=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "no"), **PLAIN
        )
    )
    again = "from imgbatch_kernels import compiled; assert compiled.is_cached(['png-filter'])"
    finish(start("-c", again, NUMBA_CACHE_DIR=str(tmp_path), **PLAIN))
    without = "from imgbatch_kernels import compiled; assert compiled.is_cached()"
    finish(start("-c", without, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="1"))
