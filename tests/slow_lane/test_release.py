"""What is released, tried as its users get it: installed from the wheel, far from the sources.

`make release-check` keeps what is built here in ``dist/``, with its bill of materials.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.brokers import Broker
from tests.support.rights import SERVER, as_user

from imgbatch.version import __version__

PROJECT = Path(__file__).parents[2]
PHOTOS = PROJECT / "examples" / "photos"
PROGRAMS = ("imgbatch-client", "imgbatch-server", "imgbatch-status", "imgbatch-preview")


@dataclass
class Release:
    """What was built, and where it is installed."""

    sdist: Path
    wheel: Path
    environment: Path
    bill: Path
    home: Path

    def run(self, program: str, *words: object) -> subprocess.CompletedProcess[str]:
        """Run an installed program with nothing of this environment."""
        return subprocess.run(
            [self.environment / "bin" / program, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            env=self.variables,
            timeout=300,
        )

    @property
    def variables(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("release")
    built = Path(os.environ.get("IMGBATCH_RELEASE_FOLDER") or folder / "dist").absolute()
    shutil.rmtree(built, ignore_errors=True)
    # The wheel is built from the sdist, not from the checkout: so the sdist is complete.
    subprocess.run([sys.executable, "-m", "build", "--outdir", built, PROJECT], check=True)
    (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", wheel], check=True)
    subprocess.run([*pip, "check"], check=True)
    bill = built / f"imgbatch-{__version__}.cdx.json"
    words = [
        "environment",
        "--output-reproducible",
        "--output-file",
        bill,
        environment / "bin" / "python",
    ]
    subprocess.run([sys.executable, "-m", "cyclonedx_py", *words], check=True)
    home = folder / "home"
    shutil.copytree(PHOTOS, home / "photos")
    return Release(sdist, wheel, environment, bill, home)


def test_the_wheel_holds_the_two_packages_and_the_manual_pages(release: Release) -> None:
    names = zipfile.ZipFile(release.wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    metadata = f"imgbatch-{__version__}"
    assert tops == {"imgbatch", "imgbatch_kernels", f"{metadata}.dist-info", f"{metadata}.data"}
    pages = {Path(name).name for name in names if "/man1/" in name}
    assert pages == {f"{program}.1" for program in PROGRAMS}


def test_the_sdist_holds_what_a_packager_needs_to_test_it(release: Release) -> None:
    with tarfile.open(release.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "tests/conftest.py",
        "deploy/Containerfile",
    } <= names
    assert not [name for name in names if name.startswith((".venv", ".tox", "dist"))]


def test_what_is_installed_is_not_the_checkout(release: Release) -> None:
    finished = release.run(
        "python",
        "-c",
        "import imgbatch, imgbatch_kernels as k; print(imgbatch.__file__, k.__file__)",
    )
    assert all(Path(path).is_relative_to(release.environment) for path in finished.stdout.split())


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_says_its_version(release: Release, program: str) -> None:
    assert release.run(program, "--version").stdout.split() == [program, __version__]


@pytest.fixture(scope="module")
def on_this_machine(release: Release) -> Path:
    """The demonstration, as `make demo` has it."""
    finished = release.run("imgbatch-client", "photos", "out", "--preset", "punchy")
    assert finished.returncode == 0, finished.stderr
    return release.home / "out"


def results(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith("imgbatch-report")}


def test_the_demonstration_writes_every_photograph_and_the_page(on_this_machine: Path) -> None:
    photographs = {path.name for path in PHOTOS.iterdir() if path.suffix in {".jpg", ".png"}}
    assert results(on_this_machine) == photographs
    assert "<html" in (on_this_machine / "imgbatch-report.html").read_text()


@pytest.mark.broker
def test_through_a_broker_it_writes_the_same_bytes(
    release: Release, on_this_machine: Path, broker: Broker, tmp_path: Path
) -> None:
    url = broker.place().url
    program = release.environment / "bin" / "imgbatch-server"
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program, "--broker", as_user(url, SERVER), "--procs", "2"],
            stderr=output,
            cwd=release.home,
            env=release.variables,
        )
    try:
        finished = release.run(
            "imgbatch-client", "photos", "out2", "--preset", "punchy", "--broker", url
        )
        assert finished.returncode == 0, finished.stderr
        names = list(results(on_this_machine))
        same, different, missing = filecmp.cmpfiles(
            on_this_machine, release.home / "out2", names, shallow=False
        )
        assert (sorted(same), different, missing) == (sorted(names), [], [])
        status = json.loads(release.run("imgbatch-status", "--broker", url, "--json").stdout)
        assert [machine["version"] for machine in status["machines"]] == [__version__]
    finally:
        server.terminate()
        assert server.wait(60) == 0, log.read_text()


def test_the_bill_of_materials_names_all_that_is_installed(release: Release) -> None:
    bill = json.loads(release.bill.read_text())
    named = {it["name"].lower().replace("_", "-"): it["version"] for it in bill["components"]}
    listed = json.loads(release.run("python", "-m", "pip", "list", "--format", "json").stdout)
    assert named["imgbatch"] == __version__
    for it in listed:
        assert named[it["name"].lower().replace("_", "-")] == it["version"]


def test_the_changelog_begins_with_this_version() -> None:
    """Or, before the number is raised, with the next one."""
    text = (PROJECT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (\S+)", text, re.MULTILINE)
    assert __version__ in versions[:2]
