"""Kernels ready to be called: from the cache, freshly compiled, or as plain Python."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from imgbatch_kernels import cache
from imgbatch_kernels.layout import scratch_samples

if TYPE_CHECKING:
    from collections.abc import Callable

DTYPE_NAMES = ("uint8", "uint16")

_kernels: dict[str, Callable[..., None]] = {}
_loading = threading.Lock()


def kernel(dtype_name: str) -> Callable[..., None]:
    """Return the kernel of a depth, of the type `machine.KERNEL_TYPE`; made ready only once.

    With `NUMBA_DISABLE_JIT` set, the same loops run as plain Python, hundreds of times slower.
    """
    ready = _kernels.get(dtype_name)
    if ready is not None:
        return ready
    with _loading:
        if dtype_name not in _kernels:
            disabled = os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}
            _kernels[dtype_name] = (_interpreted if disabled else _compiled)(dtype_name)
        return _kernels[dtype_name]


def _compiled(dtype_name: str) -> Callable[..., None]:
    from imgbatch_kernels.machine import load

    symbol = f"imgbatch_adjust_{dtype_name}"
    name = cache.key(dtype_name, *_versions())
    code = cache.read(name)
    if code is None:
        from imgbatch_kernels import compiler

        try:
            code = compiler.object_code(dtype_name, symbol)
        except compiler.ForeignSymbolError:
            callback: Callable[..., None] = compiler.in_process(dtype_name)
            return callback
        cache.write(name, code)
    return load(code, symbol)


def _versions() -> tuple[str, ...]:
    """Whatever the compiled code depends on beside the sources."""
    from importlib.metadata import version

    from imgbatch_kernels.machine import processor

    return (version("numba"), version("llvmlite"), *processor())


def _interpreted(dtype_name: str) -> Callable[..., None]:
    """Call the loops of `rows` on arrays over the memory at the addresses."""
    from imgbatch_kernels.kernel import KERNELS

    loops = KERNELS[dtype_name]
    sample = np.ctypeslib.as_ctypes_type(np.dtype(dtype_name))
    lane = ctypes.c_int16 if dtype_name == "uint8" else ctypes.c_int32

    def flat(address: int, count: int, kind: Any) -> Any:
        return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (count,))

    def run(
        source: int, target: int, above: int, below: int, rows: int, shape: Any, steps: Any
    ) -> None:
        height, samples, _, source_step, target_step = shape[:5]
        with np.errstate(over="ignore"):  # the low half of a product is meant
            loops(
                flat(source, (height - 1) * source_step + samples, sample),
                flat(target, (height - 1) * target_step + samples, sample),
                flat(above, samples, sample),
                flat(below, samples, sample),
                flat(rows, scratch_samples(samples), sample),
                list(shape),
                np.array(steps, lane),
            )

    return run
