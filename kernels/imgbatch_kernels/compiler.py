"""From the loops in `rows` to machine code. Imports Numba: 2 s for each depth, once.

Numba's own cache is not used. It pickles, breaks with an exception or a crash when one of its
files is damaged, can't be read from a read-only place, and needs Numba imported to be read at all.
The kernels need nothing of Python, so their machine code can be kept as it is (see `cache`).
"""

from __future__ import annotations

from typing import Any

from imgbatch_kernels import linker
from imgbatch_kernels.kernel import KERNELS
from imgbatch_kernels.machine import processor, target_machine


class ForeignSymbolError(Exception):
    """The compiled code calls something outside itself, so it can't be kept in a file."""


def kept_code(callback: Any, symbol: str) -> bytes:
    """Return machine code, for this processor, of what Numba compiled: what the cache keeps.

    Parameters
    ----------
    callback
        A `numba.cfunc` of the type `image.KERNEL_TYPE`.
    symbol
        The name to give to the function.

    Returns
    -------
        A packed `image.Image`, or an object file where `linker` can't make one of it.

    Raises
    ------
    ForeignSymbolError
        If a version of Numba should leave calls into Python in the code.
    """
    code: bytes = target_machine().emit_object(_module(callback, symbol))
    try:
        return linker.link(code, symbol).pack()
    except linker.UnlinkableError:
        return code


def assembly(dtype_name: str) -> str:
    """Return the machine code of a kernel as text, to be read."""
    module = _module(callback_of(dtype_name), f"adjust_{dtype_name}")
    text: str = target_machine().emit_assembly(module)
    return text


def callback_of(dtype_name: str) -> Any:
    """Compile the kernel of a depth, by Numba's public means."""
    from numba import cfunc, types

    sample = getattr(types, dtype_name)
    lane = types.int16 if dtype_name == "uint8" else types.int32
    pointer: Any = types.CPointer
    signature = types.void(*[pointer(sample)] * 5, pointer(types.int64), pointer(lane))
    return cfunc(signature, error_model="numpy")(KERNELS[dtype_name])


def _module(callback: Any, symbol: str) -> Any:
    """Return the optimised LLVM module of a callback, reduced to what `symbol` needs."""
    import llvmlite.binding as llvm

    wrapper = callback.native_name
    inner = wrapper.removeprefix("cfunc.")
    module = llvm.parse_assembly(callback.inspect_llvm() + _entry(symbol, inner))
    # Numba's own wrapper reports exceptions to Python; there are none to report.
    for name in (wrapper, inner):
        module.get_function(name).linkage = llvm.Linkage.internal
    builder = llvm.create_pass_builder(target_machine(), llvm.PipelineTuningOptions())
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)
    foreign = [
        function.name
        for function in module.functions
        if function.is_declaration and not function.name.startswith("llvm.")
    ]
    if foreign:
        raise ForeignSymbolError(f"{symbol} on {processor().name} calls {foreign}")
    return module


def _entry(symbol: str, inner: str) -> str:
    """Return LLVM assembly of a plain C function around one that Numba compiled."""
    parameters = ", ".join(f"ptr %{i}" for i in range(7))
    return f"""
define void @{symbol}({parameters}) {{
  %result = alloca ptr
  %exception = alloca ptr
  %status = call i32 @{inner}(ptr %result, ptr %exception, {parameters})
  ret void
}}
"""
