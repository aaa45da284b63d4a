from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgbatch.batch.scan import Found, LeftOut, Selection
from imgbatch.batch.watch import SETTLED_SECONDS, Waiting, is_being_written, watch


def complete_names(waiting: Waiting, now: float) -> list[str]:
    return [found.name for found in waiting.complete(now)]


def test_a_file_is_complete_when_it_has_not_changed_for_a_while(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    waiting.touch("a.jpg", 10.0)
    assert complete_names(waiting, 10.0 + SETTLED_SECONDS / 2) == []
    assert complete_names(waiting, 10.0 + SETTLED_SECONDS) == ["a.jpg"]
    assert complete_names(waiting, 99.0) == []


def test_a_change_begins_the_wait_anew(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    waiting.touch("a.jpg", 10.0)
    (tmp_path / "a.jpg").write_bytes(b"xy")
    assert complete_names(waiting, 10.0 + SETTLED_SECONDS) == []
    assert complete_names(waiting, 10.0 + 2 * SETTLED_SECONDS) == ["a.jpg"]


def test_a_file_that_is_open_for_writing_is_not_complete_however_long(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    with (tmp_path / "a.jpg").open("wb") as file:
        file.write(b"x")
        file.flush()
        waiting.touch("a.jpg", 10.0)
        assert is_being_written(tmp_path / "a.jpg") is True
        assert complete_names(waiting, 1000.0) == []
    assert is_being_written(tmp_path / "a.jpg") is False
    assert complete_names(waiting, 1000.0) == ["a.jpg"]


def test_where_the_kernel_does_not_tell_a_file_must_rest_longer(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    os.mkfifo(tmp_path / "a.jpg")  # has no leases, as files on a network share
    waiting.touch("a.jpg", 10.0)
    assert is_being_written(tmp_path / "a.jpg") is None
    assert complete_names(waiting, 11.0) == []
    assert complete_names(waiting, 15.0) == ["a.jpg"]


def test_a_writer_that_comes_while_a_file_is_looked_at_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    code = """
        import fcntl, os, pathlib, sys
        from imgbatch.batch import watch
        path, real = pathlib.Path(sys.argv[1]), fcntl.fcntl
        def with_a_writer_in_between(descriptor, command, argument):
            real(descriptor, command, argument)
            if argument == fcntl.F_RDLCK:
                try:
                    os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                except BlockingIOError:
                    print("came")
        fcntl.fcntl = with_a_writer_in_between
        watch.is_being_written(path)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "a.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "came\n"), done.stderr


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    waiting.touch("a.jpg", 10.0)
    (tmp_path / "a.jpg").unlink()
    assert complete_names(waiting, 99.0) == []
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert complete_names(waiting, 99.0) == []


def watched(root: Path, selection: Selection, *left_out: Path) -> Iterator[Found | None]:
    known: set[Found] = set()

    def remember(found: Found) -> bool:
        return found in known

    for found in watch(root, selection, LeftOut(left_out), remember):
        if found is not None:
            known.add(found)
        yield found


def next_of(steps: Iterator[Found | None]) -> str:
    return next(found.name for found in steps if found is not None)


@pytest.fixture(params=["notices", "no notices"])
def notices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "no notices":
        from watchfiles import _rust_notify

        def refuse(*_: object) -> None:
            raise OSError(28, "inotify watch limit reached")

        monkeypatch.setattr(_rust_notify, "RustNotify", refuse)
    return str(request.param)


def test_files_that_are_there_and_files_that_come_are_found(notices: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    steps = watched(tmp_path, Selection())
    assert next_of(steps) == "a.jpg"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b.jpg").write_bytes(b"x")
    assert next_of(steps) == "deep/b.jpg"
    (tmp_path / "c.part").write_bytes(b"x")
    (tmp_path / "c.part").rename(tmp_path / "c.jpg")
    assert next_of(steps) == "c.jpg"


def test_a_changed_file_comes_again(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    steps = watched(tmp_path, Selection())
    assert next_of(steps) == "a.jpg"
    (tmp_path / "a.jpg").write_bytes(b"xy")
    assert next_of(steps) == "a.jpg"


def test_what_is_not_selected_and_what_is_left_out_never_comes(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    steps = watched(tmp_path, Selection(exclude=("*.txt",)), tmp_path / "out")
    next(steps)
    for name in ("notes.txt", ".hidden.jpg", "out/a.jpg", "a.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert next_of(steps) == "a.jpg"


def test_results_never_come_through_whatever_link_the_folder_is_watched(
    notices: str, tmp_path: Path
) -> None:
    (tmp_path / "photos/out").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/out/there.jpg").write_bytes(b"x")
    steps = watched(tmp_path / "link", Selection(), tmp_path / "photos/out")
    next(steps)
    (tmp_path / "photos/out/later.jpg").write_bytes(b"x")
    (tmp_path / "photos/a.jpg").write_bytes(b"x")
    assert next_of(steps) == "a.jpg"


def test_a_folder_inside_of_the_output_folder_is_watched_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    steps = watched(tmp_path / "photos", Selection(), tmp_path)
    next(steps)
    (tmp_path / "photos/a.jpg").write_bytes(b"x")
    assert next_of(steps) == "a.jpg"
