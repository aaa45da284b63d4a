"""OpenCV in a `multiprocessing.Pool`."""

from __future__ import annotations

from pathlib import Path

import cv2

from bench.baseline.operation import adjusted
from bench.peers.arguments import Task, run_pool


def prepare() -> None:
    """Keep OpenCV to one thread, since there is a process for each core."""
    cv2.setNumThreads(1)


def convert(task: Task, path: Path) -> None:
    """Adjust one file."""
    image = adjusted(cv2.imread(str(path)), task.coefficients)
    cv2.imwrite(str(task.output / path.name), image, [cv2.IMWRITE_JPEG_QUALITY, task.quality])


if __name__ == "__main__":
    run_pool("peers.opencv_pool", convert, prepare)
