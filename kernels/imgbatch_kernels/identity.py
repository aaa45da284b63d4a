"""What compiled code depends on beside its sources, without importing a compiler.

Asking LLVM for the processor and the packages' metadata for their versions takes 60 ms with all
that has to be imported for it, in every process that only wants to find a file in the cache.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

_PROCESSORS = Path("/proc/cpuinfo")
_FIRST_PROCESSOR_BYTES = 16384
_LINES = {
    "vendor_id", "cpu family", "model", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features",
}  # fmt: skip
"""What LLVM chooses instructions by, and a little more: the flags also name what the system knows
of the processor's faults, so after an update of the system kernels may be compiled anew. The other
lines change from moment to moment."""


@cache
def versions() -> tuple[str, ...]:
    """Return words that differ for all compilers and processors whose code may differ."""
    name, features = (os.environ.get(f"NUMBA_CPU_{what}") for what in ("NAME", "FEATURES"))
    is_generic = name is not None and name.lower() == "generic"
    # An image of a container, warmed for such a processor, is warm on every other machine.
    is_chosen = bool(name) and (is_generic or features is not None)
    here = () if is_chosen else _processor()
    target = sys.platform, os.uname().machine, repr(name), repr(features), *here
    return _version("numba"), _version("llvmlite"), *target


def _version(package: str) -> str:
    """Return the text of the file in which a package says its version, or else its version."""
    spec = PathFinder.find_spec(package)
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).with_name("_version.py")
        if path.is_file():
            return path.read_text(encoding="utf-8")
    from importlib import metadata

    return metadata.version(package)


def _processor() -> tuple[str, ...]:
    """Return what the system says of the first processor's kind; where it does not, what LLVM says.

    The others are taken to be of the same kind.
    """
    lines = described(_PROCESSORS)
    if lines:
        return lines
    from imgbatch_kernels.machine import processor

    return processor()


def described(processors: Path) -> tuple[str, ...]:
    """Return the lines of a file like Linux's ``/proc/cpuinfo`` that tell a kind of processor."""
    try:
        with processors.open(encoding="utf-8") as file:
            first = file.read(_FIRST_PROCESSOR_BYTES).partition("\n\n")[0]
    except OSError:
        return ()
    lines = tuple(line for line in first.splitlines() if line.partition(":")[0].strip() in _LINES)
    names_instructions = any(line.startswith(("flags", "Features")) for line in lines)
    return lines if names_instructions else ()
