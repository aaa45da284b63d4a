"""'Machines' on one box: processes held to a share of a core.

By a cgroup's CPU quota where we may make one (version 1 or 2), otherwise by pinning to a core.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_MICROSECONDS = 50_000
_NUMBERS = itertools.count()


def how() -> str:
    """Tell which way of holding machines this box allows."""
    if _v1_controller() is not None:
        return "cgroup v1 cpu.cfs_quota_us"
    return "cgroup v2 cpu.max" if _v2_controller() is not None else "pinning to a core"


@contextmanager
def held(cores: float) -> Iterator[list[str]]:
    """Yield the words to put before a command so that it and its children get `cores` cores."""
    group = _group(cores)
    if group is None:
        core = next(_NUMBERS) % len(os.sched_getaffinity(0))
        yield ["taskset", "--cpu-list", str(sorted(os.sched_getaffinity(0))[core])]
        return
    try:
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        _remove(group)


def _group(cores: float) -> Path | None:
    quota = round(cores * PERIOD_MICROSECONDS)
    name = f"imgbatch-bench-{os.getpid()}-{next(_NUMBERS)}"
    if (controller := _v1_controller()) is not None:
        group = controller / name
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
        return group
    if (controller := _v2_controller()) is not None:
        group = controller / name
        group.mkdir()
        (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
        return group
    return None


def _v1_controller() -> Path | None:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        folder = Path(place)
        if kind == "cgroup" and "cpu" in options.split(",") and _may_hold(folder, "cfs_quota_us"):
            return folder
    return None


def _v2_controller() -> Path | None:
    folder = Path("/sys/fs/cgroup")
    enabled = folder / "cgroup.subtree_control"
    if not enabled.exists():
        return None
    try:
        if "cpu" not in enabled.read_text().split():
            enabled.write_text("+cpu")
    except OSError:
        return None
    return folder if _may_hold(folder, "max") else None


def _may_hold(folder: Path, file: str) -> bool:
    probe = folder / f"imgbatch-bench-probe-{os.getpid()}"
    try:
        probe.mkdir()
    except OSError:
        return False
    try:
        return os.access(probe / f"cpu.{file}", os.W_OK)
    finally:
        probe.rmdir()


def _remove(group: Path) -> None:
    """Remove a group whose processes have been told to end, once the last is gone."""
    deadline = time.monotonic() + 20
    while True:
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
