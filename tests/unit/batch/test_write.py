from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from imgbatch.batch import write
from imgbatch.batch.model import Job
from imgbatch.batch.write import (
    OutputFile,
    OutputPolicy,
    is_temporary,
    read_source,
    source_error,
    sweep,
    temporary_path,
    write_output,
)
from imgbatch.errors import Code, FileError, LimitExceeded, OutputError, SkippedFile

LARGE = 2**30


@pytest.fixture
def job(tmp_path: Path) -> Job:
    tmp_path = tmp_path.resolve()
    (tmp_path / "out").mkdir()
    source = tmp_path / "a.jpg"
    source.write_bytes(b"photograph")
    source.chmod(0o604)
    os.utime(source, ns=(1, 1_600_000_000_123_456_789))
    seen = source.stat()
    mode = stat.S_IMODE(seen.st_mode)
    return Job(5, source, tmp_path / "out/b/a.jpg", seen.st_size, seen.st_mtime_ns, mode)


def code_of(error: pytest.ExceptionInfo[FileError | OutputError | LimitExceeded]) -> Code:
    return error.value.code


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_source_is_read_whole(job: Job) -> None:
    assert read_source(job, LARGE) == (b"photograph", {})


def test_a_source_that_is_too_large_is_not_opened(job: Job) -> None:
    job.source.unlink()
    with pytest.raises(LimitExceeded, match="--max-bytes") as caught:
        read_source(job, 9)
    assert code_of(caught) is Code.TOO_MANY_BYTES


def test_a_missing_source_is_unreadable(job: Job) -> None:
    job.source.unlink()
    with pytest.raises(FileError, match="no such file") as caught:
        read_source(job, LARGE)
    assert code_of(caught) is Code.UNREADABLE_FILE


@pytest.mark.parametrize("content", [b"", b"other bytes", b"PHOTOGRAPH"])
def test_a_source_that_was_changed_is_not_processed(job: Job, content: bytes) -> None:
    job.source.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_source(job, LARGE)
    assert code_of(caught) is Code.CHANGED_FILE


def test_a_pipe_in_a_source_s_place_is_not_waited_for(job: Job) -> None:
    job.source.unlink()
    os.mkfifo(job.source)
    with pytest.raises(SkippedFile):
        read_source(job, LARGE)


def test_an_error_of_the_system_becomes_the_file_s(job: Job) -> None:
    error = source_error(job, OSError(errno.EIO, "Input/output error"))
    assert error.code is Code.UNREADABLE_FILE
    assert error.sentence == f"{job.source} can't be read: input/output error"


def test_a_result_appears_complete_with_its_source_s_time_and_permissions(job: Job) -> None:
    assert write_output(job, memoryview(b"brighter photograph"), OutputPolicy()) == 19
    assert job.target.read_bytes() == b"brighter photograph"
    seen = job.target.stat()
    assert stat.S_IMODE(seen.st_mode) == 0o604
    assert seen.st_mtime_ns == 1_600_000_000_123_456_789
    assert files_below(job.target.parent) == ["a.jpg"]


def test_a_program_s_special_permissions_are_not_passed_on(job: Job) -> None:
    write_output(replace(job, mode=0o6755), b"x", OutputPolicy())
    assert stat.S_IMODE(job.target.stat().st_mode) == 0o755


def test_without_preserve_a_result_is_a_new_file_like_any_other(job: Job) -> None:
    before = os.umask(0o027)
    try:
        write_output(job, b"x", OutputPolicy(preserve=False))
    finally:
        os.umask(before)
    assert stat.S_IMODE(job.target.stat().st_mode) == 0o640
    assert job.target.stat().st_mtime_ns != job.modified_ns


def test_a_file_that_is_there_is_replaced_only_on_demand(job: Job) -> None:
    job.target.parent.mkdir()
    job.target.write_bytes(b"old")
    with pytest.raises(FileError) as caught:
        write_output(job, b"new", OutputPolicy())
    assert code_of(caught) is Code.OUTPUT_EXISTS
    assert job.target.read_bytes() == b"old"
    write_output(job, b"new", OutputPolicy(overwrite=True))
    assert job.target.read_bytes() == b"new"
    assert files_below(job.target.parent) == ["a.jpg"]


def test_a_file_system_without_links_protects_files_as_well(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(write.os, "link", no_link)
    write_output(job, b"new", OutputPolicy())
    assert job.target.read_bytes() == b"new"
    with pytest.raises(FileError) as caught:
        write_output(job, b"newer", OutputPolicy())
    assert code_of(caught) is Code.OUTPUT_EXISTS
    assert files_below(job.target.parent) == ["a.jpg"]


def test_a_full_disk_ends_the_run_and_leaves_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = write.create_new

    def on_a_full_disk(path: Path, mode: int) -> int:
        os.close(real(path, mode))
        return os.open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(write, "create_new", on_a_full_disk)
    for size_bytes in (1, 1_000_000):
        with pytest.raises(OutputError) as caught:
            write_output(job, bytes(size_bytes), OutputPolicy())
        assert code_of(caught) is Code.DISK_FULL
        assert files_below(job.target.parent) == []


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.EDQUOT, OutputError, Code.DISK_FULL),
        (errno.EROFS, OutputError, Code.OUTPUT_FOLDER_UNWRITABLE),
        (errno.EIO, FileError, Code.OUTPUT_UNWRITABLE),
    ],
)
def test_other_errors_cost_the_run_or_only_this_file_and_leave_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], code: Code
) -> None:
    def fail(source: object, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(write.os, "link", fail)
    with pytest.raises(kind) as caught:
        write_output(job, b"x", OutputPolicy())
    assert code_of(caught) is code
    assert files_below(job.target.parent) == []


def test_a_folder_in_the_place_of_a_result_costs_only_this_file(job: Job) -> None:
    job.target.mkdir(parents=True)
    with pytest.raises(FileError):
        write_output(job, b"x", OutputPolicy(overwrite=True))


def test_a_lost_output_folder_is_not_made_again(job: Job) -> None:
    folder = job.target.parent.parent
    folder.rmdir()
    with pytest.raises(OutputError) as caught:
        write_output(job, b"x", OutputPolicy(folder=folder))
    assert code_of(caught) is Code.OUTPUT_FOLDER_UNWRITABLE
    assert not folder.exists()


def test_the_kernel_tells_a_folder_from_a_link_to_it(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert write._is_itself(folder)
    assert not write._is_itself(tmp_path.resolve() / "link" / "b")
    assert not write._is_itself(folder / "missing")


@pytest.mark.parametrize("kernel_tells", [True, False])
def test_nothing_is_written_through_links(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel_tells: bool
) -> None:
    if not kernel_tells:
        monkeypatch.setattr(write, "_is_itself", lambda _folder: False)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    assert write_output(job, b"x", OutputPolicy(folder=job.target.parent.parent)) == 1
    job.target.unlink()
    job.target.parent.rmdir()
    folder = job.target.parent.parent
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    job.target.parent.symlink_to(elsewhere)
    with pytest.raises(FileError, match="through a link"):
        write_output(job, b"x", OutputPolicy(folder=folder))
    job.target.parent.unlink()
    folder.rmdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(OutputError):
        write_output(job, b"x", OutputPolicy(folder=folder))
    assert files_below(elsewhere) == []


def test_a_system_that_does_not_say_where_a_folder_is_is_no_obstacle(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(write.os, "readlink", refuse)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    assert not write._is_itself(job.target.parent)


def test_a_temporary_name_is_short_whatever_the_target_s(job: Job) -> None:
    long = replace(job, target=job.target.with_name("x" * 251 + ".jpg"))
    assert len(temporary_path(long, 2**22).name) < 60
    assert write_output(long, b"x", OutputPolicy()) == 1


def test_a_sweep_removes_what_dead_processes_of_this_machine_left(job: Job) -> None:
    folder = job.target.parent
    folder.mkdir()
    dead = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(dead, 0)
    stale = temporary_path(job, dead)
    alive = temporary_path(replace(job, index=6), os.getpid())
    foreign = folder / f".imgbatch-00000000-{dead}-7.part"
    unrelated = folder / ".imgbatch-notes"
    for path in (stale, alive, foreign, unrelated):
        path.write_bytes(b"half")
    assert sweep(folder) == 1
    assert files_below(folder) == sorted([alive.name, foreign.name, unrelated.name])


def test_a_sweep_of_no_folder_is_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "not-yet") == 0


def test_only_temporary_names_are_known_as_such(job: Job) -> None:
    assert is_temporary(temporary_path(job, 1).name)
    assert not is_temporary("a.jpg")
    assert not is_temporary(".imgbatch-report.json.5.part")
    assert socket.gethostname() not in temporary_path(job, 1).name


def test_nothing_is_written_outside_of_the_output_folder(job: Job, tmp_path: Path) -> None:
    folder = job.target.parent.parent
    elsewhere = tmp_path.resolve() / "elsewhere"
    elsewhere.mkdir()
    for parent in (elsewhere, folder / ".." / "elsewhere", folder.parent):
        with pytest.raises(FileError):
            write_output(replace(job, target=parent / "x"), b"x", OutputPolicy(folder=folder))
    assert files_below(elsewhere) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["a.jpg", "elsewhere", "out"]


@pytest.mark.parametrize("planted", ["link", "file", "pipe"])
def test_what_lies_under_a_temporary_name_is_never_written_to(
    job: Job, tmp_path: Path, planted: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    job.target.parent.mkdir()
    temporary = temporary_path(job, os.getpid())
    if planted == "link":
        temporary.symlink_to(victim)
    elif planted == "file":
        os.link(victim, temporary)
    else:
        os.mkfifo(temporary)
    write_output(job, b"result", OutputPolicy())
    assert victim.read_bytes() == b"mine"
    assert job.target.read_bytes() == b"result"


def test_a_result_is_as_private_as_its_source_while_it_is_written(job: Job) -> None:
    output = OutputFile(replace(job, mode=0o600), OutputPolicy())
    output.write(b"half")
    assert stat.S_IMODE(temporary_path(job, os.getpid()).stat().st_mode) == 0o600
    output.discard()
