"""The folders that contenders are asked to process."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.build import folder_of
from bench.harness.processes import IMAGE_SUFFIXES

QUICK_EVERY = 10


@dataclass(frozen=True, slots=True)
class Folder:
    """A set of images on disk."""

    path: Path
    sizes_bytes: tuple[int, ...]

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self.sizes_bytes)

    @classmethod
    def at(cls, path: Path) -> Folder:
        """Return the images directly in a folder."""
        files = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES]
        if not files:
            raise ValueError(f"{path} holds no .jpg or .png file")
        return cls(path, tuple(file.stat().st_size for file in files))


@dataclass(frozen=True, slots=True)
class Sets:
    """Where the sets come from: stand-ins, a sample of them, or someone's own photographs."""

    workspace: Path
    quick: bool = False
    photos: Path | None = None

    def folder(self, name: str) -> Folder:
        """Return a set by name; of `photos`, what there is of the set's format."""
        if self.photos is not None:
            suffixes = {".png"} if "png" in name else {".jpg", ".jpeg"}
            chosen = [path for path in self.photos.iterdir() if path.suffix.lower() in suffixes]
            return self._linked(name, chosen)
        whole = Folder.at(folder_of(name))
        if not self.quick or whole.images <= QUICK_EVERY:
            return whole
        return self._linked(name, sorted(whole.path.iterdir())[::QUICK_EVERY])

    def smallest(self, name: str) -> Folder:
        """Return the smallest file of a set, for a first run that loads all there is."""
        files = self.folder(name).path.iterdir()
        return self._linked(f"smallest-{name}", [min(files, key=lambda path: path.stat().st_size)])

    def _linked(self, name: str, files: list[Path]) -> Folder:
        folder = self.workspace / f"input-{name}"
        if not folder.is_dir():
            folder.mkdir()
            for file in files:
                try:
                    os.link(file.resolve(), folder / file.name)
                except OSError:  # on another file system
                    shutil.copy2(file, folder / file.name)
        return Folder.at(folder)
