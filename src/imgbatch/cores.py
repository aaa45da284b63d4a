"""How many processor cores this process may really use.

A container sees all cores of its host, and may be allowed a fraction of them: by CPU affinity,
or by a quota of its control group or of any group above it. One process per core that is only
seen, not allowed, makes every one of them slow.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


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
    return max(1, math.ceil(min((affine, *_quotas(root)))))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas, in cores, of our control groups and of all groups above them.

    They are looked for where every system mounts them. Inside a container a group's path may be
    the host's, or lead out of what is mounted: then only the last of the groups above is there.
    """
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")  # of version 2, there is no controller
        below = PurePosixPath(path.removeprefix("/"))
        tops = {mounted / controllers}
        if "cpu" in controllers.split(","):
            tops.add(mounted / "cpu")
        for group in (below, *below.parents):
            if ".." not in group.parts:
                yield from (_quota(top / group) for top in tops)


def _quota(group: Path) -> float:
    """Return a group's quota, by the file of version 2 or those of 1; infinite if it has none."""
    version_1 = [_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    fields = (_text(group / "cpu.max") or " ".join(version_1)).split()
    try:
        cores = int(fields[0]) / int(fields[1])
    except (IndexError, ValueError, ZeroDivisionError):
        return math.inf
    return cores if cores > 0 else math.inf


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
