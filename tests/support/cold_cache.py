"""An empty cache of compiled kernels."""

from __future__ import annotations

from pathlib import Path


def cold_cache(folder: Path) -> dict[str, str]:
    """Return the variables with which a program finds no kernel, and keeps new ones in a folder.

    They name a processor that no other program asks for, since what is beside the package is read
    too.
    """
    return {
        "NUMBA_CACHE_DIR": str(folder),
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "-sse4a",
    }


def kept_in(folder: Path) -> set[str]:
    """Return the names of the kernels that are kept there, and of whatever else is."""
    return {path.name.rpartition("-")[0] for path in (folder / "imgbatch_kernels").iterdir()}
