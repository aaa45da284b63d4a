"""ImageMagick's `mogrify` and GraphicsMagick's, over `xargs -P`.

``python -m bench.peers.magick PEER INPUT OUTPUT``
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.baseline.operation import FACTORS, QUALITY, TERMS

FILES_PER_CALL = 4  # enough to hide a start of 20 ms, few enough to keep every core busy
K = TERMS.neighbour
KERNEL = f"0,{-K},0,{-K},{1 + 4 * K},{-K},0,{-K},0"
IMAGEMAGICK = [
    *("env", "MAGICK_THREAD_LIMIT=1", "mogrify"),
    *("-quality", str(QUALITY), "-sampling-factor", "4:2:0"),
]
PEERS = {
    "imagemagick": [
        *IMAGEMAGICK,
        *("-function", "polynomial", f"{TERMS.slope},{TERMS.offset / 255}"),
        *("-morphology", "Convolve", f"3x3:{KERNEL}", "-path"),
    ],
    # What most pages on the web tell one to type: easier, slower, not the same pixels.
    "everyday": [
        *IMAGEMAGICK,
        *("-brightness-contrast", f"{FACTORS['brightness']}x{FACTORS['contrast']}"),
        *("-sharpen", "0x1", "-path"),
    ],
    # The offset, which is negative, comes first: the other way round, levels would saturate.
    "graphicsmagick": [
        *("env", "OMP_NUM_THREADS=1", "gm", "mogrify"),
        *("-operator", "All", "Subtract", f"{-TERMS.offset / TERMS.slope / 2.55}%"),
        *("-operator", "All", "Multiply", str(TERMS.slope)),
        *("-convolve", KERNEL),
        *("-quality", str(QUALITY), "-sampling-factor", "2x2", "-output-directory"),
    ],
}


def main(peer: str, folder: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    names = "\0".join(sorted(path.name for path in folder.iterdir()))
    processes = len(os.sched_getaffinity(0))
    xargs = ["xargs", "--null", f"--max-procs={processes}", f"--max-args={FILES_PER_CALL}"]
    command = [*xargs, *PEERS[peer], str(output.resolve())]
    subprocess.run(command, input=names.encode(), cwd=folder, check=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
