"""The processes that a process has started, by what the kernel says."""

from __future__ import annotations

from pathlib import Path


def children_of(pid: int, command: bytes = b"") -> list[int]:
    """Return the ids of the living children of a process whose command line has `command`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z" and command in words:
            found.append(int(folder.name))
    return found


def fork_servers_of(pid: int) -> list[int]:
    """Return the ids of a program's fork servers; each leads a process group."""
    return children_of(pid, b"imgbatch.workers.forkserver")


def workers_of(pid: int) -> list[int]:
    """Return the ids of a program's worker processes."""
    return [worker for server in fork_servers_of(pid) for worker in children_of(server)]
