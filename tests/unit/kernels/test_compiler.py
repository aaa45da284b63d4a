import platform
import re

import pytest

from imgbatch_kernels import compiler, image, linker, machine


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads instructions of x86")
def test_the_loops_for_8_bits_are_vectors_of_16_bit_lanes():
    text = compiler.assembly("uint8")
    widest = "zmm" if "zmm" in text else "ymm" if "ymm" in text else "xmm"
    assert re.search(rf"pmulhw\s.*{widest}", text)
    assert re.search(rf"pmullw\s.*{widest}", text)
    assert not re.search(r"pmul(dq|udq|lq|ld)\s", text)


def test_code_that_calls_into_python_is_refused(monkeypatch):
    monkeypatch.setattr(
        compiler, "_entry", lambda symbol, inner: _foreign(compiler_entry(symbol, inner))
    )
    with pytest.raises(compiler.ForeignSymbolError, match="PyErr_Print"):
        compiler.kept_code(compiler.callback_of("uint8"), "adjust")


compiler_entry = compiler._entry


def _foreign(entry: str) -> str:
    call = "  call void @PyErr_Print()\n  ret void"
    return "declare void @PyErr_Print()\n" + entry.replace("  ret void", call)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="is linked on x86 only")
@pytest.mark.parametrize("dtype_name", ["uint8", "uint16"])
def test_a_kernel_is_kept_as_an_image(dtype_name):
    callback = compiler.callback_of(dtype_name)
    assert image.is_image(compiler.kept_code(callback, "adjust"))


def test_an_object_file_is_kept_as_it_is_where_it_cannot_be_linked(monkeypatch):
    def refuse(code: bytes, symbol: str) -> image.Image:
        raise linker.UnlinkableError(symbol)

    monkeypatch.setattr(linker, "link", refuse)
    code = compiler.kept_code(compiler.callback_of("uint8"), "adjust")
    assert not image.is_image(code)
    assert machine.load(code, "adjust")
