from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from imgbatch.batch.model import Job
from imgbatch.batch.scan import Found, LeftOut, Selection, base_of, scan, scan_names, walk
from imgbatch.batch.write import temporary_path
from imgbatch.errors import Code


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


ALL = Selection()


def names(root: Path, selection: Selection = ALL, left_out: tuple[Path, ...] = ()) -> list[str]:
    return sorted(found.name for found in scan(root, selection, LeftOut(left_out)))


def code_of(found: Found) -> Code | None:
    return found.failure and found.failure.code


def test_folders_below_are_entered_and_names_are_relative(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "deep/b.jpg", "deep/er/c.jpg")
    assert names(tmp_path) == ["a.jpg", "deep/b.jpg", "deep/er/c.jpg"]


def test_folders_below_are_not_entered_unless_recursive(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "deep/b.jpg")
    assert names(tmp_path, Selection(recursive=False)) == ["a.jpg"]


def test_what_the_file_system_says_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "a.jpg").chmod(0o640)
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    (found,) = scan(tmp_path, Selection())
    assert found == Found("a.jpg", 1, 1_234_567_890_123_456_789, 0o640)


def test_a_single_file_is_an_input_too(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    assert names(tmp_path / "a.jpg") == ["a.jpg"]
    assert base_of(tmp_path / "a.jpg") == tmp_path


@pytest.mark.parametrize(
    ("include", "taken"),
    [
        (("*.jpg",), {"a.jpg", "B.JPG", "deep/c.jpg", "deep/er/d.jpg"}),
        (("deep/*.jpg",), {"deep/c.jpg"}),
        (("deep/**",), {"deep/c.jpg", "deep/er/d.jpg"}),
        (("**/d.jpg",), {"deep/er/d.jpg"}),
        (("?.jpg", "*.txt"), {"a.jpg", "B.JPG", "deep/c.jpg", "deep/er/d.jpg", "e.txt"}),
        (("[!a-c].jpg",), {"deep/er/d.jpg"}),
        (("nothing",), set()),
    ],
)
def test_include_takes_only_what_matches(
    tmp_path: Path, include: tuple[str, ...], taken: set[str]
) -> None:
    touch(tmp_path, "a.jpg", "B.JPG", "deep/c.jpg", "deep/er/d.jpg", "e.txt")
    assert set(names(tmp_path, Selection(include=include))) == taken


def test_exclude_leaves_out_files_and_whole_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "raw/b.jpg", "deep/raw/c.jpg", "deep/d.jpg", "deep/e.txt")
    assert names(tmp_path, Selection(exclude=("raw/", "*.txt"))) == ["a.jpg", "deep/d.jpg"]


def test_an_excluded_folder_is_not_even_opened(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "raw/b.jpg")
    (tmp_path / "raw").chmod(0)
    try:
        assert [found.failure for found in scan(tmp_path, Selection(exclude=("raw",)))] == [None]
    finally:
        (tmp_path / "raw").chmod(0o700)


def test_hidden_files_and_folders_are_left_alone_unless_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", ".b.jpg", ".thumbnails/c.jpg")
    assert names(tmp_path) == ["a.jpg"]
    assert names(tmp_path, Selection(hidden=True)) == [".b.jpg", ".thumbnails/c.jpg", "a.jpg"]


def test_our_temporary_files_do_not_exist(tmp_path: Path) -> None:
    job = Job(3, tmp_path / "a.jpg", tmp_path / "a.jpg", 0, 0, 0)
    temporary_path(job, 12345).write_bytes(b"half")
    assert names(tmp_path, Selection(hidden=True)) == []


def test_what_is_left_out_does_not_exist(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "out/b.jpg", "report.json")
    left_out = (tmp_path / "out", tmp_path / "report.json")
    assert names(tmp_path, left_out=left_out) == ["a.jpg"]


def test_what_is_left_out_is_known_under_every_name_that_a_link_gives_it(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    touch(photos, "a.jpg", "out/b.jpg", "out/deep/c.jpg", "report.json")
    (tmp_path / "link").symlink_to(photos)
    (photos / "latest").symlink_to(photos / "out")
    left_out = photos / "out", photos / "report.json", photos / "not-yet.journal"
    assert names(tmp_path / "link", left_out=left_out) == ["a.jpg"]
    touch(photos, "not-yet.journal")
    assert names(tmp_path / "link", left_out=left_out) == ["a.jpg"]
    linked = tmp_path / "link/out", tmp_path / "link/report.json", tmp_path / "link/not-yet.journal"
    assert names(photos, left_out=linked) == ["a.jpg"]


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.jpg", "in/b.jpg")
    (tmp_path / "in/link.jpg").symlink_to(tmp_path / "elsewhere/a.jpg")
    (tmp_path / "in/folder").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "in") == ["b.jpg", "folder/a.jpg", "link.jpg"]


def test_loops_of_links_end_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "deep/b.jpg")
    (tmp_path / "deep/up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "deep")
    assert names(tmp_path) == ["a.jpg", "deep/b.jpg"]


@pytest.mark.parametrize("target", ["nowhere", "self.jpg"])
def test_a_link_that_leads_nowhere_is_unreadable(tmp_path: Path, target: str) -> None:
    (tmp_path / "self.jpg").symlink_to(tmp_path / target)
    (found,) = scan(tmp_path, Selection())
    assert code_of(found) is Code.UNREADABLE_FILE


def test_pipes_sockets_and_devices_are_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.jpg"))
        found = {each.name: each for each in scan(tmp_path, Selection())}
    assert {code_of(each) for each in found.values()} == {Code.NOT_AN_IMAGE}
    sentences = {name: each.failure.sentence for name, each in found.items() if each.failure}
    assert "a named pipe" in sentences["pipe.jpg"]
    assert "a socket" in sentences["socket.jpg"]
    assert "a device" in sentences["null.jpg"]


def test_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    (tmp_path / "caf\udce9\n.jpg").touch()
    (found,) = scan(tmp_path, Selection(include=("*.jpg",)))
    assert os.fsencode(found.name) == b"caf\xe9\n.jpg"


def test_a_folder_that_cannot_be_listed_is_told_of(tmp_path: Path) -> None:
    found = list(walk(tmp_path, Selection()))
    assert found == []
    steps = walk(tmp_path, Selection())
    touch(tmp_path, "a/b.jpg", "c/d.jpg")
    first, _ = next(steps)
    other = "c" if first.startswith("a") else "a"
    (tmp_path / other).rename(tmp_path / "moved")
    name, error = next(steps)
    assert name == other
    assert isinstance(error, FileNotFoundError)


def test_listed_names_are_looked_up_and_stay_inside(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/deep/b.jpg", "secret.jpg")
    listed = ["a.jpg", str(tmp_path / "in/deep/b.jpg"), "../secret.jpg", "gone.jpg"]
    found = list(scan_names(tmp_path / "in", listed))
    assert [each.name for each in found[:2]] == ["a.jpg", "deep/b.jpg"]
    assert [code_of(each) for each in found] == [None, None] + [Code.UNREADABLE_FILE] * 2
