"""How many processor cores this process may really use.

A container sees all cores of its host, and may be allowed a fraction of them: by CPU affinity,
or by a quota of its control group or of any group above it. One process per core that is only
seen, not allowed, makes every one of them slow.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

_QuotaReader: TypeAlias = Callable[[Path], float | None]


@dataclass(frozen=True, slots=True)
class _Mount:
    """Where a control group hierarchy, or a part of it, can be read."""

    root: PurePosixPath
    point: PurePosixPath
    kind: str
    options: frozenset[str]


def usable_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that affinity and control group quotas leave to this process.

    Parameters
    ----------
    root
        Where ``proc`` and the control groups are mounted.

    Returns
    -------
    int
        At least 1; a quota of 1.5 cores counts as 2, since a core that is idle half of the time
        costs more than two processes that share one and a half.
    """
    affine = len(os.sched_getaffinity(0))
    allowed = min((affine, *(math.ceil(quota) for quota in _quotas(root))))
    return max(1, allowed)


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas, in cores, of our control groups and of all groups above them."""
    mounts = list(_mounts(root))
    for controllers, path in _groups(root):
        for mount in mounts:
            if mount.kind == "cgroup2" and not controllers:
                yield from _quotas_upwards(root, mount, path, _read_quota_v2)
            elif mount.kind == "cgroup" and "cpu" in controllers & mount.options:
                yield from _quotas_upwards(root, mount, path, _read_quota_v1)


def _groups(root: Path) -> Iterator[tuple[frozenset[str], PurePosixPath]]:
    """Yield the controllers (none for version 2) and the path of each of our control groups."""
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if path:
            yield frozenset(filter(None, controllers.split(","))), PurePosixPath(path)


def _mounts(root: Path) -> Iterator[_Mount]:
    """Yield the mounted control group hierarchies, as proc(5) lays out a mountinfo line."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if len(left) >= 5 and len(right) >= 3 and right[0] in {"cgroup", "cgroup2"}:
            yield _Mount(
                PurePosixPath(_unescape(left[3])),
                PurePosixPath(_unescape(left[4])),
                right[0],
                frozenset(right[2].split(",")),
            )


def _quotas_upwards(
    root: Path, mount: _Mount, path: PurePosixPath, read: _QuotaReader
) -> Iterator[float]:
    top = root / mount.point.relative_to("/")
    # Inside a container the path may be the host's, and its part below the mount all we can see.
    below = path.relative_to(mount.root) if path.is_relative_to(mount.root) else PurePosixPath()
    folder = top / below if ".." not in below.parts else top
    for group in (folder, *folder.parents):
        quota = read(group)
        if quota is not None:
            yield quota
        if group == top:
            return


def _read_quota_v2(group: Path) -> float | None:
    fields = " ".join(_lines(group / "cpu.max")).split()
    return _ratio(fields[0], fields[1]) if len(fields) == 2 else None


def _read_quota_v1(group: Path) -> float | None:
    quota = _lines(group / "cpu.cfs_quota_us")
    period = _lines(group / "cpu.cfs_period_us")
    return _ratio(quota[0], period[0]) if quota and period else None


def _ratio(quota: str, period: str) -> float | None:
    """Return quota / period; None for ``max``, for -1, and for what is no number."""
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _unescape(text: str) -> str:
    """Undo the octal escapes that mountinfo has for blanks and backslashes."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
