"""A worker of the local engine that dies, hangs or grows when the image's bytes ask for it.

Decoders have bugs that do this; these here do it every time. The order is the file's last bytes,
which neither JPEG nor PNG readers look at.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from imgbatch.buffer import Buffer
from imgbatch.engines.local import worker
from imgbatch.pipeline import Pipeline, Processed
from imgbatch.recipe import Recipe

DIE = b"please die"
HANG = b"please hang"
FAIL = b"please fail"
FAIL_AT_LENGTH = b"please fail at length"
LENGTH = 2_000_000


class FragilePipeline(Pipeline):
    def run(self, data: Buffer, recipe: Recipe, *rest: Any, **more: Any) -> Processed:
        if data.endswith(DIE):
            os.kill(os.getpid(), signal.SIGSEGV)
        if data.endswith(HANG):
            time.sleep(3600)
        if data.endswith(FAIL):
            raise RuntimeError("a bug")
        if data.endswith(FAIL_AT_LENGTH):
            raise RuntimeError("a bug " * (LENGTH // 6))
        return super().run(data, recipe, *rest, **more)


def main(*arguments: Any) -> None:
    worker.Pipeline = FragilePipeline  # type: ignore[misc]
    worker.main(*arguments)
