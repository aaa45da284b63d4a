"""ImageMagick's `mogrify` and GraphicsMagick's, over `xargs -P`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.baseline.operation import Coefficients
from bench.peers.arguments import Task, parser, task_of

FILES_PER_CALL = 4  # enough to hide a start of 20 ms, few enough to keep every core busy


def image_magick(task: Task) -> list[str]:
    """Return the command that the files' names are added to."""
    terms = task.coefficients
    return [
        *_mogrify(task),
        *("-function", "polynomial", f"{terms.slope},{terms.offset / 255}"),
        *("-morphology", "Convolve", f"3x3:{_kernel(terms.neighbour)}"),
    ]


def image_magick_everyday(task: Task) -> list[str]:
    """Return what most pages on the web tell one to type: easier, slower, not the same pixels."""
    return [
        *_mogrify(task),
        *("-brightness-contrast", f"{task.brightness}x{task.contrast}"),
        *("-sharpen", "0x1"),
    ]


def _mogrify(task: Task) -> list[str]:
    return [
        *("env", "MAGICK_THREAD_LIMIT=1", "mogrify", "-path", str(task.output.resolve())),
        *("-quality", str(task.quality), "-sampling-factor", "4:2:0"),
    ]


def graphics_magick(task: Task) -> list[str]:
    """Return the command that the files' names are added to."""
    terms = task.coefficients
    return [
        *(
            "env",
            "OMP_NUM_THREADS=1",
            "gm",
            "mogrify",
            "-output-directory",
            str(task.output.resolve()),
        ),
        *_levels(terms),
        *("-convolve", _kernel(terms.neighbour)),
        *("-quality", str(task.quality), "-sampling-factor", "2x2"),
    ]


def _levels(terms: Coefficients) -> list[str]:
    """Return slope and offset in the order in which a saturated first step loses nothing."""
    multiply = ["-operator", "All", "Multiply", str(terms.slope)]
    if terms.offset >= 0:
        return [*multiply, "-operator", "All", "Add", f"{terms.offset / 2.55}%"]
    return ["-operator", "All", "Subtract", f"{-terms.offset / terms.slope / 2.55}%", *multiply]


def _kernel(k: float) -> str:
    return f"0,{-k},0,{-k},{1 + 4 * k},{-k},0,{-k},0"


PROGRAMS = {
    "imagemagick": image_magick,
    "imagemagick-everyday": image_magick_everyday,
    "graphicsmagick": graphics_magick,
}


def run(program: str, folder: Path, task: Task, processes: int) -> None:
    """Run one of the programs on every file of a folder."""
    names = "\0".join(sorted(path.name for path in folder.iterdir()))
    shared = [f"--max-procs={processes}", f"--max-args={FILES_PER_CALL}", "--null"]
    command = ["xargs", *shared, *PROGRAMS[program](task)]
    subprocess.run(command, input=names.encode(), cwd=folder, check=True)


def main() -> None:
    import os

    words = parser("peers.magick")
    words.add_argument("--program", choices=list(PROGRAMS), required=True)
    arguments = words.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    cores = len(os.sched_getaffinity(0))
    run(arguments.program, arguments.input, task_of(arguments), cores)


if __name__ == "__main__":
    sys.exit(main())
