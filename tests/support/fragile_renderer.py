"""A renderer that dies or hangs when the image's last bytes ask for it."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.support.fragile_worker import DIE, FAIL, HANG

from imgbatch.images.display import Photograph
from imgbatch.images.limits import Limits
from imgbatch.preview import renderer

open_photograph = renderer.open_photograph


def open_fragile(data: bytes, limits: Limits) -> Photograph:
    if data.endswith(DIE):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.endswith(HANG):
        time.sleep(3600)
    if data.endswith(FAIL):
        raise RuntimeError("a bug")
    return open_photograph(data, limits)


def main(*arguments: Any) -> None:
    renderer.open_photograph = open_fragile  # type: ignore[attr-defined]
    renderer.main(*arguments)
