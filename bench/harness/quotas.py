"""'Machines' on one box: processes held to a share of a core.

By a cgroup's CPU quota where we may make one (version 1 or 2), otherwise by pinning to a core.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

PERIOD_MICROSECONDS = 50_000
_NUMBERS = itertools.count()


@contextmanager
def held(cores: float) -> Iterator[list[str]]:
    """Yield the words to put before a command so that it and its children get `cores` cores."""
    folder, number = _controller(), next(_NUMBERS)
    if folder is None:
        usable = sorted(os.sched_getaffinity(0))
        yield ["taskset", "--cpu-list", str(usable[number % len(usable)])]
        return
    group = folder / f"imgbatch-bench-{os.getpid()}-{number}"
    group.mkdir()
    try:
        quota = round(cores * PERIOD_MICROSECONDS)
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        deadline = time.monotonic() + 20  # its processes have been told to end
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        group.rmdir()


def how() -> str:
    """Return the name of the way in which this box allows machines to be held."""
    folder = _controller()
    if folder is None:
        return "pinning to a core"
    is_v2 = (folder / "cgroup.controllers").exists()
    return "cgroup v2 cpu.max" if is_v2 else "cgroup v1 cpu.cfs_quota_us"


@cache
def _controller() -> Path | None:
    """Return the cgroup whose CPU time we may divide among groups of ours; None without one."""
    for folder in (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")):
        with suppress(OSError):
            if (folder / "cgroup.subtree_control").exists():
                (folder / "cgroup.subtree_control").write_text("+cpu")
            probe = folder / f"imgbatch-bench-probe-{os.getpid()}"
            probe.mkdir()
            quotas = [probe / "cpu.cfs_quota_us", probe / "cpu.max"]
            may_set = any(os.access(quota, os.W_OK) for quota in quotas)
            probe.rmdir()
            if may_set:
                return folder
    return None
