"""Pillow's ImageEnhance in a `multiprocessing.Pool`.

Its brightness is a factor, its contrast turns about the image's mean and its sharpness blends with
a smoothed copy: not the same pixels, but the three calls that a user of Pillow would reach for.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageEnhance

from bench.peers.arguments import Task, run_pool


def convert(task: Task, path: Path) -> None:
    """Adjust one file."""
    with Image.open(path) as image:
        adjusted = ImageEnhance.Brightness(image).enhance(1 + task.brightness / 100)
    adjusted = ImageEnhance.Contrast(adjusted).enhance(1 + task.contrast / 50)
    adjusted = ImageEnhance.Sharpness(adjusted).enhance(1 + task.sharpness / 50)
    adjusted.save(task.output / path.name, quality=task.quality)


if __name__ == "__main__":
    run_pool("peers.pillow_pool", convert)
