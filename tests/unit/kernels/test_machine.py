import ctypes

import pytest

from imgbatch_kernels import compiler, machine


@pytest.fixture(autouse=True)
def fresh():
    machine.processor.cache_clear()
    yield
    machine.processor.cache_clear()


def test_the_processor_is_this_machines(monkeypatch):
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
    import llvmlite.binding as llvm

    triple, name, features = machine.processor()
    assert (triple, name) == (llvm.get_process_triple(), llvm.get_host_cpu_name())
    assert features == llvm.get_host_cpu_features().flatten()


def test_numbas_variables_choose_another_processor(monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2")
    assert machine.processor()[1:] == ("haswell", "+avx2")


def test_a_generic_processor_has_no_features_of_its_own(monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
    assert machine.processor().features == ""


def test_loaded_object_code_can_be_called():
    import llvmlite.binding as llvm

    machine.processor()
    module = llvm.parse_assembly(
        "define void @store(ptr %0, ptr %1, ptr %2, ptr %3, ptr %4, ptr %5, ptr %6) {\n"
        "  store i8 42, ptr %1\n  ret void\n}\n"
    )
    code = machine.target_machine().emit_object(module)
    cell = ctypes.c_uint8(0)
    machine.load(code, "store")(None, ctypes.addressof(cell), None, None, None, None, None)
    assert cell.value == 42


def test_the_assembly_of_a_kernel_names_its_entry():
    assert "adjust_uint16:" in compiler.assembly("uint16")
