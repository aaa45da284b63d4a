import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tests.support.cold_cache import cold_cache, kept_in

from imgbatch_kernels import compiled


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path / "imgbatch_kernels"


def test_what_is_written_is_read_again(place):
    path = compiled.write("a.kernel", b"code")
    assert path == place / "a.kernel"
    assert compiled.read("a.kernel") == b"code"
    assert [file.name for file in place.iterdir()] == ["a.kernel"]


def test_what_was_never_written_is_not_there(place):
    assert compiled.read("b.kernel") is None


@pytest.mark.parametrize("position", [0, 31, 32, 100, -1])
def test_a_flipped_bit_is_not_believed(place, position):
    path = compiled.write("a.kernel", bytes(range(200)))
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    assert compiled.read("a.kernel") is None


@pytest.mark.parametrize("length", [0, 10, 32, 100])
def test_a_truncated_file_is_not_believed(place, length):
    path = compiled.write("a.kernel", bytes(range(200)))
    path.write_bytes(path.read_bytes()[:length])
    assert compiled.read("a.kernel") is None


def test_a_file_of_another_name_is_not_believed(place):
    compiled.write("a.kernel", b"code").rename(place / "b.kernel")
    assert compiled.read("b.kernel") is None


@pytest.mark.parametrize("rights", [0o666, 0o664, 0o646])
def test_a_file_that_its_group_or_others_could_have_written_is_not_believed(place, rights):
    path = compiled.write("a.kernel", b"code")
    path.chmod(rights)
    assert compiled.read("a.kernel") is None
    path.chmod(0o644)
    assert compiled.read("a.kernel") == b"code"


@pytest.mark.parametrize("rights", [0o777, 0o2775, 0o1777, 0o757])
def test_a_folder_that_its_group_or_others_could_have_written_is_not_believed(place, rights):
    compiled.write("a.kernel", b"code")
    place.chmod(rights)
    assert compiled.read("a.kernel") is None


def test_the_file_that_was_opened_is_checked_and_not_what_its_path_leads_to(place, monkeypatch):
    path = compiled.write("a.kernel", b"code")
    path.chmod(0o664)
    trusted = path.with_name("trusted")
    trusted.write_bytes(b"")
    status = trusted.stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: status)
    assert compiled.read("a.kernel") is None


@pytest.mark.parametrize(
    ("rights", "reason"), [(0o775, "its group or others may write it"), (0o500, "denied")]
)
def test_nothing_is_kept_where_it_would_not_be_believed_and_the_warning_says_why(
    tmp_path, monkeypatch, rights, reason
):
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(rights)
    if rights == 0o500 and os.access(folder, os.W_OK):
        pytest.skip("root may write everywhere")
    monkeypatch.setattr(compiled, "places", lambda: iter([folder]))
    compiled._warn_unkept.cache_clear()
    with pytest.warns(compiled.Unkept, match=reason):
        assert compiled.write("a.kernel", b"code") is None
    assert list(folder.iterdir()) == []


def test_a_program_can_tell_that_nothing_can_be_kept_unless_it_is_there_already(
    tmp_path, monkeypatch
):
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o775)
    monkeypatch.setattr(compiled, "places", lambda: iter([shared, own]))
    assert compiled.problem() is None
    monkeypatch.setattr(compiled, "places", lambda: iter([shared]))
    monkeypatch.setattr(compiled, "_ready", {})
    sentence = compiled.problem()
    assert "its group or others may write it" in sentence
    assert "NUMBA_CACHE_DIR" in sentence
    monkeypatch.setattr(compiled, "read", lambda file: b"code")
    assert compiled.problem() is None


def test_a_folder_of_another_user_is_neither_read_nor_written(tmp_path, monkeypatch):
    place, second = tmp_path / "theirs", tmp_path / "ours"
    monkeypatch.setattr(compiled, "places", lambda: iter([place]))
    compiled.write("a.kernel", b"code")
    monkeypatch.setattr(compiled, "places", lambda: iter([place, second]))
    if os.geteuid() == 0:
        os.chown(place, 4711, 4711)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert compiled.read("a.kernel") is None
    if os.geteuid() == 0:
        assert compiled.write("a.kernel", b"code") == second / "a.kernel"


def test_a_folder_is_made_for_its_owner_alone(place):
    compiled.write("a.kernel", b"code")
    assert place.stat().st_mode & 0o777 == 0o700


def test_the_next_place_is_taken_where_one_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(
        compiled, "places", lambda: iter([tmp_path / "file" / "inside", tmp_path / "second"])
    )
    assert compiled.write("a.kernel", b"code") == tmp_path / "second" / "a.kernel"
    assert compiled.read("a.kernel") == b"code"


def test_a_place_that_holds_the_file_is_read_though_it_is_not_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "places", lambda: iter([tmp_path / "second"]))
    compiled.write("a.kernel", b"code")
    monkeypatch.setattr(compiled, "places", lambda: iter([tmp_path / "none", tmp_path / "second"]))
    assert compiled.read("a.kernel") == b"code"


def test_nowhere_to_write_is_said_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(compiled, "places", lambda: iter([tmp_path / "file"]))
    compiled._warn_unkept.cache_clear()
    with pytest.warns(compiled.Unkept, match="NUMBA_CACHE_DIR"):
        assert compiled.write("a.kernel", b"code") is None
    assert compiled.write("a.kernel", b"code") is None


def test_the_chosen_folder_comes_first_then_the_package_then_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    first, beside, user = compiled.places()
    assert first == tmp_path / "chosen" / "imgbatch_kernels"
    assert (beside.parent / "compiled.py").exists()
    assert user == tmp_path / "user" / "imgbatch_kernels"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert list(compiled.places()) == [beside, tmp_path / "home" / ".cache" / "imgbatch_kernels"]


@pytest.fixture
def fresh():
    def forget() -> None:
        compiled.processor.cache_clear()
        compiled.file_name.cache_clear()

    forget()
    yield forget
    forget()


def test_the_name_of_a_file_tells_apart_kernels_and_processors(fresh, monkeypatch):
    names = [compiled.file_name(kernel) for kernel in compiled.KERNELS]
    for name, features in (("generic", ""), ("haswell", "+avx2"), ("haswell", "+avx2,+fma")):
        monkeypatch.setenv("NUMBA_CPU_NAME", name)
        monkeypatch.setenv("NUMBA_CPU_FEATURES", features)
        fresh()
        names.append(compiled.file_name("adjust-uint8"))
    assert len(set(names)) == len(compiled.KERNELS) + 3


def test_the_name_of_a_file_tells_apart_versions_of_the_compilers(fresh, monkeypatch):
    before = compiled.file_name("adjust-uint8")
    versions = {"numba": "1", "llvmlite": "2"}
    monkeypatch.setattr(compiled, "_version", versions.__getitem__)
    fresh()
    first = compiled.file_name("adjust-uint8")
    versions["llvmlite"] = "3"
    fresh()
    assert len({before, first, compiled.file_name("adjust-uint8")}) == 3


@pytest.mark.parametrize("package", ["numba", "llvmlite", "pytest"])
def test_a_version_is_that_of_the_package(package):
    assert metadata.version(package) in compiled._version(package)


def test_without_numbas_variables_the_processor_is_this_machines(fresh, monkeypatch):
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
    import llvmlite.binding as llvm

    triple, name, features = compiled.processor()
    assert (triple, name) == (llvm.get_process_triple(), llvm.get_host_cpu_name())
    assert features == llvm.get_host_cpu_features().flatten()
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    fresh()
    assert compiled.processor()[1:] == ("generic", "")


def test_of_processes_that_lack_a_kernel_one_compiles_it_and_the_others_wait(tmp_path):
    code = (
        "import sys; from imgbatch_kernels import compiled\n"
        "compiled.on_compiling = lambda active: print(active)\n"
        "compiled.kernel('png-unfilter-1'); print('numba' in sys.modules)"
    )
    environment = os.environ | cold_cache(tmp_path)
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=100)[0].split() for process in processes]
    assert sorted(words[-1] for words in said) == [b"False"] * 3 + [b"True"]
    assert said.count([b"True", b"False", b"True"]) == 1
    assert kept_in(tmp_path) == {"png-unfilter-1"}


def test_a_process_that_dies_while_it_compiles_holds_up_no_other(place):
    code = (
        "import os; from imgbatch_kernels import compiled\n"
        "compiled._compiled = lambda name: os._exit(9)\n"
        "compiled.kernel('png-unfilter-1')"
    )
    environment = os.environ | cold_cache(place.parent)
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 9
    with compiled._one_at_a_time("png-unfilter-1"):
        pass
