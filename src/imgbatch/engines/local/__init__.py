"""The engine that runs a batch in processes of this machine."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgbatch.engines.local.engine import LocalEngine

__all__ = ["LocalEngine"]


def __getattr__(name: str) -> object:
    """Import the scheduler only where it is asked for: the workers of this package never do."""
    if name != "LocalEngine":
        raise AttributeError(f"module 'imgbatch.engines.local' has no attribute {name!r}")
    return getattr(importlib.import_module("imgbatch.engines.local.engine"), name)
