from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import cv2
from PIL import features

from imgbatch.fingerprint import fingerprint, warm_up


def test_an_installation_knows_itself_again_in_another_process():
    program = "from imgbatch.fingerprint import fingerprint; print(fingerprint().digest)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == fingerprint().digest
    assert {"imgbatch", "numba", "pillow", "isal"} <= fingerprint().versions.keys()


def test_packages_that_came_under_other_names_are_no_reason_to_fail(monkeypatch):
    """A Linux distribution's OpenCV is not called opencv-python-headless, for one."""

    def not_found(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_found)
    versions = fingerprint().versions
    assert versions.pop("opencv") == cv2.__version__
    assert set(versions.values()) == {"unknown"}


def test_another_version_of_a_library_that_the_picture_does_not_use_tells_apart(monkeypatch):
    here = fingerprint().digest
    monkeypatch.setattr(features, "version", lambda name: f"another {name}")
    assert fingerprint().digest != here


def test_after_the_warm_up_nothing_is_left_to_load():
    program = (
        "import sys\n"
        "from imgbatch.fingerprint import warm_up\n"
        "assert not {'numba', 'cv2', 'PIL', 'simplejpeg'} & sys.modules.keys()\n"
        "warm_up()\n"
        "assert {'cv2', 'simplejpeg'} <= sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    warm_up()
