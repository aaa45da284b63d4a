"""The processor as LLVM sees it: what code is made for, and how an object file is loaded.

Needs llvmlite (23 to 50 ms to import), not Numba (120 to 290 ms). Where a kernel is kept as an
image (see `image`), loading it needs neither.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from imgbatch_kernels.image import KERNEL_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

_engines: list[Any] = []
"""Owners of the memory that loaded kernels run in; kept for as long as the process lives."""


class Processor(NamedTuple):
    """What LLVM needs to know to choose instructions."""

    triple: str
    name: str
    features: str


@cache
def processor() -> Processor:
    """Return this machine's processor, or the one that Numba's variables ask for.

    `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` count as they do for Numba itself.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name.lower() == "generic" else llvm.get_host_cpu_features().flatten()
    return Processor(llvm.get_process_triple(), name, features)


def target_machine() -> Any:
    """Make a code generator for `processor`, with the options of Numba's own."""
    import llvmlite.binding as llvm

    triple, name, features = processor()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=name,
        features=features,
        opt=3,
        reloc="static" if triple.startswith("x86_64") else "default",
        codemodel="jitdefault",
        jit=True,
    )


def load(object_code: bytes, symbol: str) -> Callable[..., None]:
    """Place object code in memory and return one of its functions.

    Parameters
    ----------
    object_code
        What `target_machine` emitted, on this or an equal processor.
    symbol
        The function's name; it has the type `image.KERNEL_TYPE`.
    """
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(object_code))
    engine.finalize_object()
    _engines.append(engine)
    return KERNEL_TYPE(engine.get_function_address(symbol))
