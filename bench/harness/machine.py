"""What the figures were taken on: the machine and the versions, without anything that names it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from bench.harness import quotas

PACKAGES = (
    *("imgbatch", "numba", "numpy", "opencv-python-headless", "simplejpeg", "isal", "deflate"),
    *("pika", "msgpack", "xxhash", "celery", "kombu", "amqp", "pillow", "pyvips"),
)
DEBIAN = ("rabbitmq-server", "libvips42", "imagemagick", "graphicsmagick")


def machine() -> dict[str, object]:
    """Return what a reader must know to judge the figures."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": models[0].strip() if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "machines_held_by": quotas.how(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of all that was measured, without those that are not installed."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    shown = "--showformat=${Package} ${Version}\n"
    command = ["dpkg-query", "--show", shown, *DEBIAN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return found | dict(line.split() for line in done.stdout.splitlines() if " " in line.strip())
