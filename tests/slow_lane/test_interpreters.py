"""Other interpreters than the one that runs the tests, and another kind of processor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# All that Debian 12's C library may run, by the version of the C library that a wheel asks for.
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{it}_aarch64" for it in range(17, 37)))
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
PREFIX = "Programming Language :: Python :: "
VERSIONS = [it.removeprefix(PREFIX) for it in DECLARED["classifiers"] if it.startswith(PREFIX)]


GENERIC = ("NUMBA_CPU_NAME=generic", "NUMBA_CPU_FEATURES=")


def install(
    target: Path, version: str, words: list[str], *, check: bool = False
) -> subprocess.CompletedProcess[str]:
    """Have pip put wheels for aarch64 into a folder."""
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--ignore-installed",
        "--only-binary=:all:", "--target", target, "--python-version", version, *platforms, *words,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=check)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_it_depends_on_is_there_for_aarch64(version: str, tmp_path: Path) -> None:
    """By metadata alone: nothing is downloaded but the few wheels that have none beside them."""
    report = ["--dry-run", "--report", str(tmp_path / "report.json")]
    finished = install(tmp_path / "site", version, [*report, *DECLARED["dependencies"]])
    assert finished.returncode == 0, finished.stderr
    chosen = json.loads((tmp_path / "report.json").read_text())["install"]
    names = {it["metadata"]["name"].lower() for it in chosen}
    assert {"numba", "numpy", "opencv-python-headless", "simplejpeg"} <= names


# Debian 12, on which this runs, has 3.11, and no Debian has 3.12.
@pytest.mark.parametrize(("suite", "version"), [("trixie", "3.13"), ("sid", "3.14")])
@pytest.mark.timeout(1500)
def test_the_unit_tests_pass_on_the_python_of_another_debian(suite: str, version: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("root is needed for debootstrap and chroot")
    script = PROJECT / "scripts" / "with-debian"
    asked = subprocess.run(
        [script, suite, "python", "--version"], capture_output=True, text=True, check=True
    )
    assert asked.stdout.startswith(f"Python {version}.")
    words = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    kinds = ["-m", "not broker and not chaos and not browser and not slow"]
    subprocess.run([script, suite, *words, *kinds, "tests/unit"], check=True)


@pytest.mark.timeout(1500)
def test_the_kernels_compute_the_same_pixels_on_aarch64(tmp_path: Path) -> None:
    """Compiled for the plainest of these processors, and run by qemu as one."""
    if os.geteuid() != 0:
        pytest.skip("root is needed for debootstrap and chroot")
    root = Path("/var/tmp/imgbatch-debian-arm64")
    script = PROJECT / "scripts" / "debian-root"
    arm64 = os.environ | {"DEBIAN_ARCH": "arm64"}
    subprocess.run([script, root, "trixie", "python3"], env=arm64, check=True)
    needed = [it for it in DECLARED["dependencies"] if it.startswith(("numba", "numpy", "opencv"))]
    shutil.rmtree(root / "site", ignore_errors=True)
    install(root / "site", "3.13", needed, check=True)
    shutil.rmtree(root / "project", ignore_errors=True)
    for part in ("kernels", "tests/unit/kernels"):
        shutil.copytree(PROJECT / part, root / "project" / part)
    variables = ["PYTHONPATH=/site:/project/kernels:/project", "HOME=/root", *GENERIC]
    words = ["python3", "-m", "tests.unit.kernels.parity", "22"]
    finished = subprocess.run(
        ["chroot", root, "/usr/bin/env", "--chdir=/project", *variables, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["compared"] == 480
