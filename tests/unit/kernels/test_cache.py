import os
from pathlib import Path

import pytest

from imgbatch_kernels import cache


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path / "imgbatch_kernels"


def test_what_is_written_is_read_again(place):
    path = cache.write("a.kernel", b"code")
    assert path == place / "a.kernel"
    assert cache.read("a.kernel") == b"code"
    assert [file.name for file in place.iterdir()] == ["a.kernel"]


def test_what_was_never_written_is_not_there(place):
    assert cache.read("b.kernel") is None


@pytest.mark.parametrize("position", [0, 31, 32, 100, -1])
def test_a_flipped_bit_is_not_believed(place, position):
    path = cache.write("a.kernel", bytes(range(200)))
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    assert cache.read("a.kernel") is None


@pytest.mark.parametrize("length", [0, 10, 32, 100])
def test_a_truncated_file_is_not_believed(place, length):
    path = cache.write("a.kernel", bytes(range(200)))
    path.write_bytes(path.read_bytes()[:length])
    assert cache.read("a.kernel") is None


def test_a_file_of_another_name_is_not_believed(place):
    cache.write("a.kernel", b"code").rename(place / "b.kernel")
    assert cache.read("b.kernel") is None


@pytest.mark.parametrize("rights", [0o666, 0o664, 0o646])
def test_a_file_that_its_group_or_others_could_have_written_is_not_believed(place, rights):
    path = cache.write("a.kernel", b"code")
    path.chmod(rights)
    assert cache.read("a.kernel") is None
    path.chmod(0o644)
    assert cache.read("a.kernel") == b"code"


@pytest.mark.parametrize("rights", [0o777, 0o2775, 0o1777, 0o757])
def test_a_folder_that_its_group_or_others_could_have_written_is_not_believed(place, rights):
    cache.write("a.kernel", b"code")
    place.chmod(rights)
    assert cache.read("a.kernel") is None


def test_the_file_that_was_opened_is_checked_and_not_what_its_path_leads_to(place, monkeypatch):
    path = cache.write("a.kernel", b"code")
    path.chmod(0o664)
    trusted = path.with_name("trusted")
    trusted.write_bytes(b"")
    status = trusted.stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: status)
    assert cache.read("a.kernel") is None


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
    monkeypatch.setattr(cache, "places", lambda: iter([folder]))
    cache._warn_unkept.cache_clear()
    with pytest.warns(cache.Unkept, match=reason):
        assert cache.write("a.kernel", b"code") is None
    assert list(folder.iterdir()) == []


def test_a_folder_of_another_user_is_neither_read_nor_written(tmp_path, monkeypatch):
    place, second = tmp_path / "theirs", tmp_path / "ours"
    monkeypatch.setattr(cache, "places", lambda: iter([place]))
    cache.write("a.kernel", b"code")
    monkeypatch.setattr(cache, "places", lambda: iter([place, second]))
    if os.geteuid() == 0:
        os.chown(place, 4711, 4711)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert cache.read("a.kernel") is None
    if os.geteuid() == 0:
        assert cache.write("a.kernel", b"code") == second / "a.kernel"


def test_a_folder_is_made_for_its_owner_alone(place):
    cache.write("a.kernel", b"code")
    assert place.stat().st_mode & 0o777 == 0o700


def test_the_next_place_is_taken_where_one_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(
        cache, "places", lambda: iter([tmp_path / "file" / "inside", tmp_path / "second"])
    )
    assert cache.write("a.kernel", b"code") == tmp_path / "second" / "a.kernel"
    assert cache.read("a.kernel") == b"code"


def test_a_place_that_holds_the_file_is_read_though_it_is_not_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "places", lambda: iter([tmp_path / "second"]))
    cache.write("a.kernel", b"code")
    monkeypatch.setattr(cache, "places", lambda: iter([tmp_path / "none", tmp_path / "second"]))
    assert cache.read("a.kernel") == b"code"


def test_nowhere_to_write_is_said_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(cache, "places", lambda: iter([tmp_path / "file"]))
    cache._warn_unkept.cache_clear()
    with pytest.warns(cache.Unkept, match="NUMBA_CACHE_DIR"):
        assert cache.write("a.kernel", b"code") is None
    assert cache.write("a.kernel", b"code") is None


def test_the_chosen_folder_comes_first_then_the_package_then_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    first, beside, user = cache.places()
    assert first == tmp_path / "chosen" / "imgbatch_kernels"
    assert (beside.parent / "rows.py").exists()
    assert user == tmp_path / "user" / "imgbatch_kernels"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert list(cache.places()) == [beside, tmp_path / "home" / ".cache" / "imgbatch_kernels"]


def test_the_name_of_a_file_tells_apart_all_that_changes_the_code(tmp_path):
    names = {
        cache.key("uint8", "1.0", "cpu"),
        cache.key("uint16", "1.0", "cpu"),
        cache.key("uint8", "1.1", "cpu"),
        cache.key("uint8", "1.0", "cpu2"),
        cache.key("uint8", "1.0c", "pu"),
    }
    assert len(names) == 5
    assert cache.key("uint8", "1.0", "cpu") in names
