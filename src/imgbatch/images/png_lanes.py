"""Pixels as vectors: what the loops that undo PNG's filters calculate with.

Sub, Average and Paeth predict a pixel from the one on its left, so a loop over bytes is one long
chain: 28 cycles for a pixel of three bytes, 400 MB/s. The bytes of one pixel do not depend on
each other. So they are loaded into the lanes of a vector, 16 bits each, and a step of the chain
takes all of them at once.

Each operation is LLVM code for any processor, with the Python that means the same beside it;
that runs where Numba's compiler is switched off. Of a vector only as many lanes count as a pixel
has bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic, models, register_model

_Lanes = npt.NDArray[Any]
_Row = npt.NDArray[Any]

LANES = 8
_WORD_BITS = {1: 8, 2: 16, 3: 32, 4: 32, 6: 64, 8: 64}
_INT64 = ir.IntType(64)
_NARROW = ir.VectorType(ir.IntType(8), LANES)
_WIDE = ir.VectorType(ir.IntType(16), LANES)
_BYTES = ir.VectorType(ir.IntType(8), 2 * LANES)


class _LanesType(types.Type):  # type: ignore[misc]
    """Eight 16-bit numbers from 0 to 255, in Numba's eyes."""


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _WIDE)


_LANES_TYPE = _LanesType("Lanes")


def _operation(plain: Callable[..., Any], emit: Callable[..., Any], result: Any) -> Any:
    """Return something that Numba compiles to what `emit` builds."""
    if config.DISABLE_JIT:
        return plain

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, values, strict=True)
        ]
        return emit(builder, *arrays)

    return _with_parameters(
        plain.__code__.co_argcount, lambda *kinds: (result(*kinds), generate)
    )


def _with_parameters(count: int, typed: Callable[..., Any]) -> Any:
    """Return an intrinsic of so many parameters, which Numba reads off a function's signature."""
    if count == 0:
        return intrinsic(lambda _context: typed())
    if count == 2:
        return intrinsic(lambda _context, a, b: typed(a, b))
    if count == 3:
        return intrinsic(lambda _context, a, b, c: typed(a, b, c))
    return intrinsic(lambda _context, a, b, c, d: typed(a, b, c, d))
