"""What the figures were taken on: the machine and the versions, without anything that names it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from bench.harness import quotas

PACKAGES = (
    *("imgbatch", "numba", "numpy", "opencv-python-headless", "simplejpeg", "isal", "deflate"),
    *("pika", "msgpack", "xxhash", "celery", "kombu", "amqp", "pillow", "pyvips"),
)


def machine() -> dict[str, object]:
    """Return what a reader must know to judge the figures."""
    return {
        "cpu": _cpu(),
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
    found |= {
        name: version
        for name, command in {
            "ImageMagick": ["mogrify", "-version"],
            "GraphicsMagick": ["gm", "version"],
        }.items()
        if (version := _told(command))
    }
    found |= _libvips() | _rabbitmq()
    return found


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _told(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    words = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?(-\d+)?", words)
    return found.group() if found else None


def _libvips() -> dict[str, str]:
    try:
        import pyvips
    except (ImportError, OSError):
        return {}
    return {"libvips": ".".join(str(pyvips.version(part)) for part in range(3))}


def _rabbitmq() -> dict[str, str]:
    for folder in Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"):
        return {"RabbitMQ": folder.name.partition("-")[2]}
    return {}
