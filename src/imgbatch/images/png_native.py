"""The row filters ready to be called, without importing numba where they were compiled before.

Numba takes half a second to import, in each worker; the object code it makes of `png_filters`
needs nothing of it. So the code is kept where the kernels keep theirs, by the same rules: a
checksum, no pickle, made anew if it is damaged or anything it depends on has changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NONE, SUB, UP, AVERAGE, PAETH, ADAPTIVE = range(6)
"""PNG's five filters by their numbers, and the choice of one for each row."""

_SYMBOL = "imgbatch_png_filter"

Rows = npt.NDArray[np.uint8]


def filter_rows(rows: Rows, out: Rows, scratch: Rows, step: int, kind: int) -> None:
    """Filter every row; see `png_filters.filter_rows` for the parameters."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}:
        from imgbatch.images import png_filters

        with np.errstate(over="ignore"):  # differences are taken modulo 256
            png_filters.filter_rows(rows, out, scratch, step, kind)
        return
    shape = np.array((*rows.shape, step, kind), np.int64)
    addresses = [array.ctypes.data for array in (rows, out, scratch, shape)]
    _kernel()(*addresses, None, None, None)


@cache
def _kernel() -> Callable[..., None]:
    from imgbatch_kernels import cache as kept
    from imgbatch_kernels import machine

    name = f"png-filter-{_key()}.kernel"
    code = kept.read(name)
    if code is None:
        callback = _compiled()
        code = _object_code(callback)
        if code is None:
            in_process: Callable[..., None] = machine.KERNEL_TYPE(callback.address)
            return in_process
        kept.write(name, code)
    return machine.load(code, _SYMBOL)


def _key() -> str:
    """Return a word that differs for all that could make the code differ."""
    from imgbatch_kernels import machine

    digest = blake2b(digest_size=16)
    for source in ("png_filters.py", "png_native.py"):
        digest.update(Path(__file__).with_name(source).read_bytes())
    for part in (version("numba"), version("llvmlite"), *machine.processor()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _compiled() -> Any:
    from numba import cfunc, types

    from imgbatch.images import png_filters

    pointer: Any = types.CPointer
    byte, count = pointer(types.uint8), pointer(types.int64)
    signature = types.void(byte, byte, byte, count, byte, byte, byte)
    return cfunc(signature, error_model="numpy")(png_filters.kernel)


def _object_code(callback: Any) -> bytes | None:
    """Return machine code that calls nothing outside itself; None if it does."""
    import llvmlite.binding as llvm

    from imgbatch_kernels import machine

    wrapper = callback.native_name
    inner = wrapper.removeprefix("cfunc.")
    module = llvm.parse_assembly(callback.inspect_llvm() + _entry(inner))
    for name in (wrapper, inner):  # reached through the entry alone
        module.get_function(name).linkage = llvm.Linkage.internal
    target = machine.target_machine()
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(target, llvm.PipelineTuningOptions()))
    declared = [f.name for f in module.functions if f.is_declaration]
    if any(not name.startswith("llvm.") for name in declared):
        return None
    code: bytes = target.emit_object(module)
    return code


def _entry(inner: str) -> str:
    """Return LLVM assembly of a plain C function around the one that numba compiled."""
    parameters = ", ".join(f"ptr %{number}" for number in range(7))
    return f"""
define void @{_SYMBOL}({parameters}) {{
  %result = alloca ptr
  %exception = alloca ptr
  %status = call i32 @{inner}(ptr %result, ptr %exception, {parameters})
  ret void
}}
"""
