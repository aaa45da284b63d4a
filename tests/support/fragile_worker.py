"""A worker of the local engine that dies, hangs or grows when the image's bytes ask for it.

Decoders have bugs that do this; these here do it every time. The order is the file's last bytes,
which neither JPEG nor PNG readers look at.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from imgbatch.engines.local import worker
from imgbatch.pipeline import Pipeline, Processed
from imgbatch.recipe import Recipe

DIE = b"please die"
HANG = b"please hang"
FAIL = b"please fail"


class FragilePipeline(Pipeline):
    def run(self, data: bytes, recipe: Recipe) -> Processed:
        if data.endswith(DIE):
            os.kill(os.getpid(), signal.SIGSEGV)
        if data.endswith(HANG):
            time.sleep(3600)
        if data.endswith(FAIL):
            raise RuntimeError("a bug")
        return super().run(data, recipe)


if __name__ == "__main__":
    worker.Pipeline = FragilePipeline
    worker.main(sys.argv[1:])
