"""Kernels ready to be called: from the cache, freshly compiled, or as plain Python."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from imgbatch_kernels import cache, identity, image
from imgbatch_kernels.layout import scratch_samples

if TYPE_CHECKING:
    from collections.abc import Callable

DTYPE_NAMES = ("uint8", "uint16")

_kernels: dict[str, Callable[..., None]] = {}
_loading = threading.Lock()


def kernel(dtype_name: str) -> Callable[..., None]:
    """Return the kernel of a depth, of the type `image.KERNEL_TYPE`; made ready only once.

    With `NUMBA_DISABLE_JIT` set, the same loops run as plain Python, hundreds of times slower.
    """
    ready = _kernels.get(dtype_name)
    if ready is not None:
        return ready
    with _loading:
        if dtype_name not in _kernels:
            make = _interpreted if is_interpreted() else _compiled
            _kernels[dtype_name] = make(dtype_name)
        return _kernels[dtype_name]


def _compiled(dtype_name: str) -> Callable[..., None]:
    def compile_now() -> Any:
        from imgbatch_kernels.compiler import callback_of

        return callback_of(dtype_name)

    name = cache.key(dtype_name, *identity.versions())
    return kept_or_compiled(name, f"imgbatch_adjust_{dtype_name}", compile_now)


def kept_or_compiled(name: str, symbol: str, compile_now: Callable[[], Any]) -> Callable[..., None]:
    """Return the code of a file in the cache; if it is not there, compile and keep it.

    Parameters
    ----------
    name
        The file's.
    symbol
        The function's in it.
    compile_now
        Returns a `numba.cfunc` of the type `image.KERNEL_TYPE`. Should a version of Numba leave
        a call to Python in it, it serves this process as it is, and is not kept.
    """
    code = cache.read(name)
    if code is None:
        from imgbatch_kernels import compiler

        callback = compile_now()
        try:
            code = compiler.kept_code(callback, symbol)
        except compiler.ForeignSymbolError:
            return image.KERNEL_TYPE(callback.address)
        cache.write(name, code)
    if image.is_image(code):
        return image.place(image.unpack(code))
    from imgbatch_kernels.machine import load

    return load(code, symbol)


def is_interpreted() -> bool:
    """Whether Numba's compiler is switched off."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}


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
