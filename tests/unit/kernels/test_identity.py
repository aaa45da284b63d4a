import subprocess
import sys
from pathlib import Path

import pytest

from imgbatch_kernels import identity

LINUX_ON_X86 = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
cpu MHz\t\t: 2596.122
flags\t\t: fpu sse2 avx2

processor\t: 1
vendor_id\t: Another
"""


@pytest.fixture(autouse=True)
def fresh():
    identity.versions.cache_clear()
    yield
    identity.versions.cache_clear()


def written(folder: Path, text: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(text)
    return path


def test_a_processor_is_described_by_what_stays_the_same(tmp_path):
    lines = identity.described(written(tmp_path, LINUX_ON_X86))
    assert [line.split("\t")[0] for line in lines] == ["vendor_id", "cpu family", "model", "flags"]
    later = LINUX_ON_X86.replace("2596", "3100")
    assert identity.described(written(tmp_path, later)) == lines
    other = LINUX_ON_X86.replace("avx2", "avx512f")
    assert identity.described(written(tmp_path, other)) != lines


def test_where_the_system_names_no_instructions_llvm_is_asked(tmp_path, monkeypatch):
    assert identity.described(tmp_path / "nothing") == ()
    assert identity.described(written(tmp_path, "vendor_id : x\n")) == ()
    from imgbatch_kernels.machine import processor

    monkeypatch.setattr(identity, "_PROCESSORS", tmp_path / "nothing")
    assert set(processor()) <= set(identity.versions())


@pytest.mark.parametrize("name", ["NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"])
def test_numbas_variables_are_told_apart_from_each_other_and_from_nothing(monkeypatch, name):
    found = set()
    for value in (None, "", "haswell"):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
        identity.versions.cache_clear()
        found.add(identity.versions())
    assert len(found) == 3


@pytest.mark.parametrize(
    "variables",
    [
        {"NUMBA_CPU_NAME": "generic"},
        {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""},
    ],
)
def test_a_processor_that_was_chosen_is_the_same_on_every_machine(tmp_path, monkeypatch, variables):
    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    found = {True: set(), False: set()}
    for is_chosen in (False, True):
        for cpuinfo in (LINUX_ON_X86, LINUX_ON_X86.replace("avx2", "avx512f")):
            monkeypatch.setattr(identity, "_PROCESSORS", written(tmp_path, cpuinfo))
            identity.versions.cache_clear()
            found[is_chosen].add(identity.versions())
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
    assert (len(found[False]), len(found[True])) == (2, 1)


def test_the_versions_of_the_compilers_are_in_it():
    from importlib import metadata

    for package in ("numba", "llvmlite"):
        assert any(metadata.version(package) in word for word in identity.versions())


def test_a_package_without_a_file_of_its_version_is_asked_for_its_metadata():
    from importlib import metadata

    assert identity._version("pytest") == metadata.version("pytest")


def test_no_compiler_is_imported_for_it():
    code = "import sys; from imgbatch_kernels.identity import versions; versions(); " + (
        "sys.exit('llvmlite' in sys.modules or 'numba' in sys.modules)"
    )
    if identity.described(identity._PROCESSORS):
        subprocess.run([sys.executable, "-c", code], check=True)
