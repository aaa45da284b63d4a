"""What every contender is asked to do, and the folders it is asked to do it on."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.build import folder_of
from bench.harness.processes import IMAGE_SUFFIXES

FACTORS = {"brightness": 10, "contrast": 20, "sharpness": 40}
QUALITY = 90
"""Of the JPEGs that everyone writes, so that none saves time by writing less."""

QUICK_EVERY = 10


def factor_words() -> list[str]:
    """Return the options that imgbatch and all the scripts here understand."""
    words = [word for name, value in FACTORS.items() for word in (f"--{name}", str(value))]
    return [*words, "--quality", str(QUALITY)]


@dataclass(frozen=True, slots=True)
class Folder:
    """A set of images on disk."""

    name: str
    path: Path
    sizes: tuple[int, ...]

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self.sizes)

    def images_up_to(self, size_bytes: int) -> int:
        """How many are not larger than this."""
        return sum(size <= size_bytes for size in self.sizes)

    @classmethod
    def at(cls, name: str, path: Path) -> Folder:
        """Return the images directly in a folder."""
        files = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise ValueError(f"{path} holds no .jpg or .png file")
        return cls(name, path, tuple(file.stat().st_size for file in files))


@dataclass(frozen=True, slots=True)
class Sets:
    """Where the sets come from: stand-ins, a sample of them, or someone's own photographs."""

    workspace: Path
    quick: bool = False
    photos: Path | None = None

    def folder(self, name: str) -> Folder:
        """Return a set by name; of `photos`, what there is of the set's kind.

        ``warm-up-NAME`` is the smallest file of a set, for a first run that loads all there is.
        """
        if name.startswith("warm-up-"):
            whole = self.folder(name.removeprefix("warm-up-"))
            smallest = min(whole.path.iterdir(), key=lambda path: path.stat().st_size)
            return Folder.at(name, self._linked(name, [smallest]))
        if self.photos is not None:
            suffixes = {".png"} if name.endswith("-png") else {".jpg", ".jpeg"}
            chosen = [path for path in self.photos.iterdir() if path.suffix.lower() in suffixes]
            return Folder.at(name, self._linked(name, sorted(chosen)))
        whole = folder_of(name)
        if not self.quick:
            return Folder.at(name, whole)
        files = sorted(whole.iterdir())
        every = 1 if name == "tokyo-png" else QUICK_EVERY
        return Folder.at(name, self._linked(name, files[::every]))

    def _linked(self, name: str, files: list[Path]) -> Path:
        folder = self.workspace / f"input-{name}"
        if not folder.is_dir():
            folder.mkdir()
            for file in files:
                _link(file.resolve(), folder / file.name)
        return folder


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)
