"""Pixels as vectors: what the loops that undo PNG's filters calculate with.

Sub, Average and Paeth predict a pixel from the one on its left, so a loop over bytes is one long
chain. But the bytes of one pixel do not depend on each other: here they lie side by side in the
lanes of a vector, 16 bits each, and a step of the chain takes all of them at once. Numba does
not find that by itself, so each operation says what LLVM is to do, for any processor.

Beside it stands the Python that means the same, for where Numba's compiler is switched off. Of
a vector only as many lanes count as a pixel has bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from imgbatch_kernels.native import is_interpreted

_Row = npt.NDArray[Any]
_Lanes = npt.NDArray[Any]
_Builder = Any
_Value = Any

_LANES = 8
_LOADED_BITS = {1: 8, 2: 16, 3: 32, 4: 32, 6: 64, 8: 64}
_STORED_BYTES = {1: (1,), 2: (2,), 3: (2, 1), 4: (4,), 6: (4, 2), 8: (8,)}
_INT64 = ir.IntType(64)
_NARROW = ir.VectorType(ir.IntType(8), _LANES)
_WIDE = ir.VectorType(ir.IntType(16), _LANES)
_BYTES = ir.VectorType(ir.IntType(8), 2 * _LANES)


class _LanesType(types.Type):
    """What Numba calls a vector of eight 16-bit numbers."""


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _WIDE)  # type: ignore[no-untyped-call]


_VECTOR = _LanesType("Lanes")


def _emitted(emit: Callable[..., _Value]) -> Callable[..., _Value]:
    """Return a code generator as Numba calls it; of an array, `emit` sees the address."""

    def generate(context: Any, builder: _Builder, signature: Any, values: Any) -> _Value:
        plain = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, values, strict=True)
        ]
        return emit(builder, *plain)

    return generate


def _zeros() -> _Lanes:
    return np.zeros(_LANES, np.int16)


def _zeros_in_llvm(_typing: Any) -> Any:
    return _VECTOR(), _emitted(lambda _builder: ir.Constant(_WIDE, None))


def _add(a: _Lanes, b: _Lanes) -> _Lanes:
    return (a + b) & 255


def _add_in_llvm(_typing: Any, a: Any, b: Any) -> Any:
    def emit(builder: _Builder, a: _Value, b: _Value) -> _Value:
        """Add as bytes: that wraps at 256 without a further step in the chain."""
        total = builder.add(builder.bitcast(a, _BYTES), builder.bitcast(b, _BYTES))
        return builder.bitcast(total, _WIDE)

    return _VECTOR(a, b), _emitted(emit)


def _mean(a: _Lanes, b: _Lanes) -> _Lanes:
    return (a + b) >> 1


def _mean_in_llvm(_typing: Any, a: Any, b: Any) -> Any:
    def emit(builder: _Builder, a: _Value, b: _Value) -> _Value:
        return builder.lshr(builder.add(a, b), ir.Constant(_WIDE, [1] * _LANES))

    return _VECTOR(a, b), _emitted(emit)


def _nearest(a: _Lanes, b: _Lanes, c: _Lanes) -> _Lanes:
    """Return what Paeth predicts, from two comparisons in place of three distances."""
    low, high, middle = np.minimum(a, b), np.maximum(a, b), 3 * c - b - a
    return np.where(middle <= low, high, np.where(high <= middle, low, c))


def _nearest_in_llvm(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    def emit(builder: _Builder, a: _Value, b: _Value, c: _Value) -> _Value:
        is_less = builder.icmp_signed("<", a, b)
        low, high = builder.select(is_less, a, b), builder.select(is_less, b, a)
        thrice = builder.add(builder.add(c, c), c)
        middle = builder.sub(builder.sub(thrice, b), a)
        lower = builder.select(builder.icmp_signed("<=", high, middle), low, c)
        return builder.select(builder.icmp_signed("<=", middle, low), high, lower)

    return _VECTOR(a, b, c), _emitted(emit)


def loader(step: int) -> Any:
    """Return the operation ``load(row, at)``: a pixel of `step` bytes as lanes.

    For 3 and 6 bytes it reads 1 and 2 bytes more. Words are little-endian, as on all processors
    that isal and OpenCV are built for.
    """
    word = ir.IntType(_LOADED_BITS[step])

    def load(row: _Row, at: int) -> _Lanes:
        lanes = _zeros()
        pixel = row[at : at + step]
        lanes[: pixel.size] = pixel
        return lanes

    def load_in_llvm(_typing: Any, row: Any, _at: Any) -> Any:
        def emit(builder: _Builder, row: _Value, at: _Value) -> _Value:
            place = builder.bitcast(builder.gep(row, [at]), word.as_pointer())
            loaded = builder.load(place, align=1)
            if word != _INT64:
                loaded = builder.zext(loaded, _INT64)
            return builder.zext(builder.bitcast(loaded, _NARROW), _WIDE)

        return _VECTOR(row, types.intp), _emitted(emit)

    return _chosen(load, load_in_llvm)


def storer(step: int) -> Any:
    """Return the operation ``store(row, at, lanes)``: put a pixel of `step` bytes there.

    It writes nothing else: a word that reached into the next pixel would make its load wait.
    """

    def store(row: _Row, at: int, lanes: _Lanes) -> None:
        row[at : at + step] = lanes[:step]

    def store_in_llvm(_typing: Any, row: Any, _at: Any, lanes: Any) -> Any:
        def emit(builder: _Builder, row: _Value, at: _Value, lanes: _Value) -> _Value:
            pixel = builder.bitcast(builder.trunc(lanes, _NARROW), _INT64)
            done = 0
            for size in _STORED_BYTES[step]:
                word = ir.IntType(8 * size)
                part = builder.lshr(pixel, ir.Constant(_INT64, 8 * done))
                part = part if word == _INT64 else builder.trunc(part, word)
                place = builder.gep(row, [builder.add(at, ir.Constant(at.type, done))])
                builder.store(part, builder.bitcast(place, word.as_pointer()), align=1)
                done += size
            return None

        return types.void(row, types.intp, lanes), _emitted(emit)

    return _chosen(store, store_in_llvm)


def _chosen(plain: Callable[..., Any], in_llvm: Callable[..., Any]) -> Any:
    return plain if is_interpreted() else intrinsic(in_llvm)


zeros = _chosen(_zeros, _zeros_in_llvm)
add = _chosen(_add, _add_in_llvm)
mean = _chosen(_mean, _mean_in_llvm)
nearest = _chosen(_nearest, _nearest_in_llvm)
