"""imgbatch-server, whose workers die, hang or take their time when the image's bytes ask for it.

Decoders have bugs that do this; these here do it every time. The order is the file's last bytes,
which readers of JPEG do not look at.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from typing import Any

import imgbatch.pipeline
from imgbatch.buffer import Buffer
from imgbatch.pipeline import Pipeline, Processed

DIE = b"please die"
HANG = b"please hang"
_LINGER = re.compile(rb"please take (\d+) ms$")


def linger(milliseconds: int) -> bytes:
    """Return what makes a worker take so much longer over an image."""
    return b"please take %d ms" % milliseconds


class FragilePipeline(Pipeline):
    def run(self, data: Buffer, *rest: Any) -> Processed:
        last_words = bytes(memoryview(data)[-40:])
        if last_words.endswith(DIE):
            os.kill(os.getpid(), signal.SIGSEGV)
        if last_words.endswith(HANG):
            time.sleep(3600)
        if match := _LINGER.search(last_words):
            time.sleep(int(match[1]) / 1000)
        return super().run(data, *rest)


def work(*arguments: Any) -> None:
    """Be a worker process of such a server."""
    imgbatch.pipeline.Pipeline = FragilePipeline  # type: ignore[misc]
    from imgbatch.server import worker

    for module in (worker, sys.modules.get("imgbatch.server.answers")):
        if hasattr(module, "Pipeline"):
            module.Pipeline = FragilePipeline  # type: ignore[union-attr]
    worker.main(*arguments)


if __name__ == "__main__":
    from imgbatch.cli.server import main
    from imgbatch.server import supervisor

    supervisor.WORKER = "tests.support.fragile_server:work"
    sys.exit(main(sys.argv[1:]))
