"""Reading a source and writing its result, so that no name ever shows half a file.

A result is written under a temporary name in its own folder and renamed when it is complete. It
is not synced to the disk: after a power cut a file may be empty, which `--resume` sees by its
size, and a sync for each of 100,000 small files would cost more than computing them.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from imgbatch.batch.model import Job
from imgbatch.buffer import Buffer
from imgbatch.errors import Code, FileError, LimitExceeded, OutputError, SkippedFile
from imgbatch.images.formats import HEAD_BYTES, detect_format
from imgbatch.storage import store
from imgbatch.storage.places import Location, ObjectPath
from imgbatch.storage.store import Attributes, changed_source, existing_output
from imgbatch.text import os_reason

_NO_MORE_ROOM = {errno.ENOSPC, errno.EDQUOT}
_TEMPORARY = re.compile(r"\.imgbatch-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\d+\.part")
# What a file system without hard links (FAT, some network shares) answers to link().
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


@dataclass(frozen=True, slots=True)
class OutputPolicy:
    """How results are put into the output folder.

    Parameters
    ----------
    preserve
        Give each result the permissions and the modification time of its source.
    overwrite
        Replace what already has a result's name.
    folder
        The output folder, resolved. Nothing is written outside it, also if a folder below it
        becomes a link during the run, and it is not made again if it is lost. None where results
        go to a store.
    """

    preserve: bool = True
    overwrite: bool = False
    folder: Path | None = None


def read_source(job: Job, max_bytes: int, folder: Path | None = None) -> tuple[Buffer, Attributes]:
    """Return a source's bytes, and the attributes that an object has.

    Parameters
    ----------
    folder
        In which a file must lie, links followed; None: anywhere.

    Raises
    ------
    EngineError
        If a store can't be reached, or refuses.
    FileError
        If it can't be read, or is no longer what the scan saw.
    SkippedFile
        If it is no regular file.
    LimitExceeded
        If it is larger than `max_bytes`; nothing was allocated for it.
    """
    check_size(job.source, job.size_bytes, max_bytes)
    data: Buffer
    attributes: Attributes = {}
    if isinstance(job.source, ObjectPath):
        data, attributes = store.read(job.source, job.etag, job.size_bytes)
    else:
        with open_source(job, folder) as file:
            try:
                data = file.readall()
            except OSError as error:
                raise source_error(job, error) from error
    if len(data) != job.size_bytes:
        raise changed_source(job.source)
    return data, attributes


def open_source(job: Job, folder: Path | None = None) -> io.FileIO:
    """Open a source for reading, without a buffer, and make sure that it is what the scan saw.

    Parameters
    ----------
    folder
        In which it must lie, links followed; None: anywhere.

    Raises
    ------
    FileError
        If it can't be read, or is no longer what the scan saw.
    SkippedFile
        If it is no regular file.
    """
    try:
        # Without O_NONBLOCK a named pipe that took the file's place would be waited for.
        assert isinstance(job.source, Path)
        descriptor = os.open(job.source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = io.FileIO(descriptor, "rb")
    except OSError as error:
        raise source_error(job, error) from error
    try:
        if folder is not None:
            _check_within(descriptor, job, folder)
        _check_unchanged(job, os.fstat(descriptor))
    except BaseException:
        file.close()
        raise
    return file


def check_size(source: Location, size_bytes: int, max_bytes: int) -> None:
    """Raise LimitExceeded if a source is larger than the limit."""
    if size_bytes > max_bytes:
        raise LimitExceeded(
            Code.TOO_MANY_BYTES,
            f"{source} has {size_bytes:,} bytes, more than the limit of {max_bytes:,}; "
            "--max-bytes raises it",
        )


def source_error(job: Job, error: OSError) -> FileError:
    """Return what an error of the operating system means for the file that was to be read."""
    return FileError(Code.UNREADABLE_FILE, f"{job.source} can't be read: {os_reason(error)}")


def write_output(
    job: Job, data: Buffer, policy: OutputPolicy, attributes: Attributes = MappingProxyType({})
) -> int:
    """Write a result under its final name, complete or not at all.

    Parameters
    ----------
    data
        The encoded image.
    attributes
        Those of its source, which a result in a store keeps.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    FileError
        If this one file can't be written.
    OutputError
        If the output place takes no more: it is full, read-only or gone.
    EngineError
        If a store can't be reached, or refuses.
    """
    if isinstance(job.target, ObjectPath):
        kept = {name: attributes[name] for name in attributes if name != "Content-Encoding"}
        kind = {"Content-Type": f"image/{detect_format(memoryview(data)[:HEAD_BYTES])}"}
        attributes = (kept if policy.preserve else {}) | kind
        store.write(job.target, data, attributes, overwrite=policy.overwrite)
        return len(data)
    output = OutputFile(job, policy)
    try:
        output.write(data)
        return output.finish()
    except BaseException:
        output.discard()
        raise


class OutputFile:
    """A result that is being written, piece by piece, under its temporary name.

    Every method raises FileError if this one file can't be written, and OutputError if the output
    folder takes no more files: it is full, read-only or gone. After either, `discard` it.
    """

    def __init__(self, job: Job, policy: OutputPolicy) -> None:
        self._job = job
        self._policy = policy
        self._temporary = temporary_path(job, os.getpid())
        with self._errors():
            self._file = self._create()

    def write(self, part: Buffer) -> None:
        """Append a piece of the encoded image."""
        with self._errors():
            self._file.write(part)

    def finish(self) -> int:
        """Give the complete file its name; return its size in bytes."""
        with self._errors():
            self._file.flush()
            size_bytes = self._file.tell()
            if self._policy.preserve:
                # Some network shares know neither; a result without them is still a result.
                if self._job.mode:  # an object has none
                    with suppress(OSError):
                        os.fchmod(self._file.fileno(), self._job.mode & 0o777)
                with suppress(OSError):
                    os.utime(self._file.fileno(), ns=(self._job.modified_ns,) * 2)
            self._file.close()
            _publish(self._temporary, self._job, self._policy)
        return size_bytes

    def discard(self) -> None:
        """Leave nothing behind; after `finish` there is nothing left to discard."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink()

    def _create(self) -> BinaryIO:
        """Open the temporary file, making its folder at need."""
        folder = self._temporary.parent
        if self._policy.folder is not None:
            _check_inside(folder, self._policy.folder)
        # What few may read of the source, few may read of the result while it is written.
        mode = (self._policy.preserve and self._job.mode & 0o777) or 0o666
        try:
            return os.fdopen(create_new(self._temporary, mode), "wb")
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            return os.fdopen(create_new(self._temporary, mode), "wb")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _target_error(self._job, error) from error


def temporary_path(job: Job, pid: int) -> Path:
    """Return the name under which process `pid` of this machine writes a job's result."""
    assert isinstance(job.target, Path)
    return job.target.with_name(f".imgbatch-{_host()}-{pid}-{job.index}.part")


def is_temporary(name: str) -> bool:
    """Whether a file's name is one of those that results have while they are written."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> int:
    """Remove the temporary files that dead processes of this machine left in a folder.

    Returns
    -------
    int
        How many were removed.
    """
    try:
        with os.scandir(folder) as entries:
            stale = [entry.path for entry in entries if _is_stale(entry.name)]
    except OSError:
        return 0
    for path in stale:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108  # what scandir gives is a string
    return len(stale)


def _is_stale(name: str) -> bool:
    match = _TEMPORARY.fullmatch(name)
    if match is None or match["host"] != _host():
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@cache
def _host() -> str:
    """Return eight digits for this machine: process ids mean nothing on another."""
    name = socket.gethostname().encode("utf-8", "surrogateescape")
    return hashlib.blake2s(name, digest_size=4).hexdigest()


def _check_within(descriptor: int, job: Job, folder: Path) -> None:
    # Of what was opened, so that no link can be put there between a check and an open.
    opened = Path(f"/proc/self/fd/{descriptor}").readlink()
    if not opened.is_relative_to(folder):
        sentence = f"{job.source} leads out of {folder}, and is not read"
        raise FileError(Code.PLACE_REFUSED, sentence)


def _check_unchanged(job: Job, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise SkippedFile(Code.NOT_AN_IMAGE, f"{job.source} is no longer a regular file")
    if (seen.st_size, seen.st_mtime_ns) != (job.size_bytes, job.modified_ns):
        raise changed_source(job.source)


def create_new(path: Path, mode: int = 0o666) -> int:
    """Create a file of our own, for writing, and return its descriptor.

    Its name is known before, so that in a folder that others may write there can be anything under
    it: what is there is removed, never opened, followed or written to.

    Raises
    ------
    OSError
        If it can't be created, or what is there can't be removed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, mode)
    except FileExistsError:
        path.unlink()
        return os.open(path, flags, mode)


def _check_inside(parent: Path, folder: Path) -> None:
    """Raise unless a result's folder lies where it seems to lie, in the output folder."""
    if not parent.is_relative_to(folder):
        raise FileError(
            Code.OUTPUT_UNWRITABLE,
            f"{parent} lies outside of the output folder {folder}; nothing is written there",
        )
    if _is_itself(parent):
        return
    if not folder.is_dir() or folder.resolve() != folder:
        raise OutputError(
            Code.OUTPUT_FOLDER_UNWRITABLE,
            f"the output folder {folder} is gone, or was replaced by a link",
        )
    if parent.resolve() != parent:
        raise FileError(
            Code.OUTPUT_UNWRITABLE,
            f"{parent} leads through a link; nothing is written there: put a folder in its place",
        )


def _is_itself(folder: Path) -> bool:
    """Whether a folder is there and no part of its path is a link.

    False as well where the system does not say. The kernel knows, in 8 µs; to look at each part of
    the path, as `resolve` does, takes 40 to 160.
    """
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}") == os.fspath(folder)  # noqa: PTH115
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _publish(temporary: Path, job: Job, policy: OutputPolicy) -> None:
    """Give the complete file its name."""
    target = temporary.with_name(job.target.name)
    if policy.overwrite:
        temporary.replace(target)
        return
    try:
        # Unlike a rename, a link never replaces a file that appeared in the meantime.
        os.link(temporary, target)
    except FileExistsError:
        raise existing_output(job.target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise existing_output(job.target) from None
        temporary.replace(target)
    else:
        temporary.unlink()


def _target_error(job: Job, error: OSError) -> FileError | OutputError:
    if error.errno in _NO_MORE_ROOM:
        return OutputError(
            Code.DISK_FULL,
            f"{job.target} can't be written: {os_reason(error)}; make room, then continue with "
            "--resume",
        )
    if error.errno == errno.EROFS:
        return OutputError(
            Code.OUTPUT_FOLDER_UNWRITABLE, f"{job.target} can't be written: {os_reason(error)}"
        )
    return FileError(Code.OUTPUT_UNWRITABLE, f"{job.target} can't be written: {os_reason(error)}")
