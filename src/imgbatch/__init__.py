"""Whole folders of photographs brighter, with more contrast, sharper.

>>> from imgbatch import Adjustment, process, run_batch
>>> data = process(photograph, Adjustment(brightness=10, contrast=20, sharpness=40))
>>> report = run_batch("photos/", "out/", Adjustment(10, 20, 40))

`process` takes one encoded image and returns one; `run_batch` takes a folder, or a single file,
and fills another, on this machine or, with ``broker="amqp://…"``, on many.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from imgbatch.version import __version__

if TYPE_CHECKING:
    from imgbatch.adjustment import Adjustment
    from imgbatch.pipeline import process
    from imgbatch.recipe import Encoding
    from imgbatch.run import run_batch

__all__ = ["Adjustment", "Encoding", "__version__", "process", "run_batch"]


_HOMES = {
    "Adjustment": "imgbatch.adjustment",
    "Encoding": "imgbatch.recipe",
    "process": "imgbatch.pipeline",
    "run_batch": "imgbatch.run",
}


def __getattr__(name: str) -> object:
    """Import what is asked for: numpy alone takes 50 ms, and not everyone needs it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'imgbatch' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
