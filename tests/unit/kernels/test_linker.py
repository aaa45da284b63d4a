import ctypes
import platform

import pytest

from imgbatch_kernels import image, linker, machine

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="links for x86")

PARAMETERS = ", ".join(f"ptr %{i}" for i in range(7))


def object_of(text: str) -> bytes:
    import llvmlite.binding as llvm

    machine.processor()
    module = llvm.parse_assembly(text)
    module.triple = llvm.get_process_triple()
    code: bytes = machine.target_machine().emit_object(module)
    return code


def called(text: str) -> int:
    cell = ctypes.c_uint64(0)
    kernel = image.place(linker.link(object_of(text), "entry"))
    kernel(None, ctypes.addressof(cell), None, None, None, None, None)
    return cell.value


def test_functions_and_constants_find_each_other():
    text = f"""
    @table = private constant [4 x i64] [i64 3, i64 5, i64 8, i64 13], align 64
    @rounding = private constant [2 x double] [double 1.5, double 2.5], align 16
    define internal i64 @inner(i64 %at) noinline {{
      %place = getelementptr [4 x i64], ptr @table, i64 0, i64 %at
      %value = load volatile i64, ptr %place
      ret i64 %value
    }}
    define void @entry({PARAMETERS}) {{
      %three = call i64 @inner(i64 3)
      %half = load volatile double, ptr @rounding
      %whole = fptoui double %half to i64
      %sum = add i64 %three, %whole
      store i64 %sum, ptr %1
      ret void
    }}
    """
    assert called(text) == 14


def test_functions_of_the_c_library_are_found():
    text = f"""
    declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
    define void @entry({PARAMETERS}) {{
      %size = ptrtoint ptr %0 to i64
      %eight = add i64 %size, 8
      call void @llvm.memset.p0.i64(ptr %1, i8 1, i64 %eight, i1 false)
      ret void
    }}
    """
    assert called(text) == 0x0101010101010101


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "declare void @elsewhere() define void @entry() { call void @elsewhere() ret void }",
            "is needed",
        ),
        (
            "@count = global i64 0\n"
            "define void @entry() { store volatile i64 1, ptr @count ret void }",
            "has to be written|is not loaded",
        ),
    ],
    ids=["function of Python", "global variable"],
)
def test_what_is_not_known_is_refused(text, reason):
    with pytest.raises(linker.UnlinkableError, match=reason):
        linker.link(object_of(text), "entry")


def test_a_damaged_object_is_refused_wherever_it_breaks_off():
    code = object_of(f"define void @entry({PARAMETERS}) {{ ret void }}")
    assert linker.link(code, "entry").words == ()
    for length in range(64, len(code), 8):
        with pytest.raises(linker.UnlinkableError):
            linker.link(code[:length], "entry")
    with pytest.raises(linker.UnlinkableError, match="another is not there"):
        linker.link(code, "another")


def test_objects_of_other_systems_are_refused():
    code = bytearray(object_of("define void @entry() { ret void }"))
    with pytest.raises(linker.UnlinkableError):
        linker.link(b"\xcf\xfa\xed\xfe" + code[4:], "entry")
    code[18] = 183  # AArch64
    with pytest.raises(linker.UnlinkableError):
        linker.link(bytes(code), "entry")
