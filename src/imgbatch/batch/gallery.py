"""Thumbnails of photographs before and after, made in processes of their own.

A thumbnail has to be decoded, and a decoder that dies of a damaged file must not take the report
with it: each pair goes to a worker process that may crash or hang, and is then left out. Workers
and the process that asks exchange JSON lines, on descriptors of their own: native libraries print
to the standard output.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from imgbatch.batch.names import Naming
from imgbatch.cores import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

THUMBNAIL_WIDTH = 480
THUMBNAIL_HEIGHT = 360
THUMBNAIL_QUALITY = 78
LARGEST_PROFILE_BYTES = 4096
"""A Display P3 profile has 500 bytes; large ones would outweigh the picture."""
LARGEST_GALLERY_BYTES = 10_000_000
"""Encoded in base64; keeps the whole file below 15 MB."""
MOST_PICTURES = 48
MOST_WORKERS = 4
FEWEST_PICTURES = 12
"""Made even if the time is over: on a busy machine, a worker takes a second to start."""
GRACE_SECONDS = 10.0
"""When these are over as well, even those are given up."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One photograph's file before and after."""

    before: Path
    after: Path


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """One photograph before and after, as JPEGs in base64, and their size in pixels."""

    before: str
    after: str
    width: int
    height: int


@dataclass(slots=True)
class _Work:
    """What is still to do, and what is done; shared by the threads that drive the workers."""

    pairs: Sequence[Pair]
    deadline: float
    waiting: deque[int] = field(default_factory=deque)
    done: dict[int, Thumbnails] = field(default_factory=dict)
    size_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> int | None:
        """Return the next pair's number; None when there is none, or no time or room for it."""
        with self.lock:
            is_full = self.size_bytes > LARGEST_GALLERY_BYTES
            begun = len(self.pairs) - len(self.waiting)
            seconds = self.seconds_left()
            if begun < FEWEST_PICTURES:
                seconds += GRACE_SECONDS
            if not self.waiting or is_full or seconds <= 0:
                return None
            return self.waiting.popleft()

    def keep(self, number: int, thumbnails: Thumbnails) -> None:
        with self.lock:
            self.done[number] = thumbnails
            self.size_bytes += len(thumbnails.before) + len(thumbnails.after)

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


def make_thumbnails(pairs: Sequence[Pair], seconds: float) -> dict[int, Thumbnails]:
    """Make thumbnails of as many pairs as the time allows.

    Parameters
    ----------
    pairs
        The photographs.
    seconds
        When the time is over, what is done is returned, once there are `FEWEST_PICTURES`.

    Returns
    -------
    dict
        By the pair's number; those that could not be decoded are missing. Where time ran out,
        those that are there are spread evenly over all.
    """
    work = _Work(pairs, time.monotonic() + seconds, deque(spread(len(pairs))))
    threads = [
        threading.Thread(target=_drive, args=(work,), name=f"gallery-{number}")
        for number in range(min(usable_cores(), MOST_WORKERS, (len(pairs) + 3) // 4))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(sorted(work.done.items()))


def thumbnails_of(
    names: Sequence[bytes], source: Path, target: Path, naming: Naming, run_seconds: float
) -> dict[bytes, tuple[bytes, bytes]]:
    """Return thumbnails of files that were written, for runs whose workers bring none.

    Parameters
    ----------
    names
        Paths of the files below `source`; of 48 at most, spread evenly, thumbnails are made.
    run_seconds
        Of that, the thumbnails may take a tenth, but one second at least and 15 at most.
    """
    names = names[:: len(names) // (MOST_PICTURES + 1) + 1]
    paths = [Path(os.fsdecode(name)) for name in names]
    pairs = [Pair(source / path, target / naming.target(str(path))) for path in paths]
    made = make_thumbnails(pairs, min(max(run_seconds / 10, 1.0), 15.0))
    return {
        names[number]: (base64.b64decode(pair.before), base64.b64decode(pair.after))
        for number, pair in made.items()
    }


def spread(count: int) -> list[int]:
    """Return 0..count-1 in an order of which any beginning is spread evenly over the whole.

    The van der Corput sequence in base 2: numbers sorted by their binary digits read backwards.
    """
    digits = max(count - 1, 0).bit_length()
    backwards = (int(f"{number:0{digits}b}"[::-1], 2) for number in range(1 << digits))
    return [number for number in backwards if number < count]


def _drive(work: _Work) -> None:
    """Keep one worker busy, and start another where it dies."""
    worker = None
    while (number := work.take()) is not None:
        worker = worker or _start_worker()
        thumbnails = _ask(worker, work.pairs[number], work.seconds_left() + GRACE_SECONDS)
        if thumbnails is not None:
            work.keep(number, thumbnails)
        elif worker.poll() is not None:
            _end(worker)
            worker = None
    if worker is not None:
        _end(worker)


def _start_worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "imgbatch.batch.gallery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _ask(worker: subprocess.Popen[bytes], pair: Pair, seconds: float) -> Thumbnails | None:
    """Return the worker's answer; None if it has none, died, or ran out of time and was killed."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    alarm = threading.Timer(seconds, worker.kill)
    alarm.start()
    try:
        worker.stdin.write(json.dumps([str(pair.before), str(pair.after)]).encode() + b"\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
    except OSError:
        line = b""
    finally:
        alarm.cancel()
    try:
        fields = json.loads(line)
        return None if fields is None else Thumbnails(**fields)
    except (TypeError, ValueError):  # it died, or what it says makes no sense
        worker.kill()
        worker.wait()
        return None


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        assert stream is not None
        with suppress(OSError):  # what was still to be written, nobody reads any more
            stream.close()


def answer_requests(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer a line of two paths with a line of two thumbnails, or null, until the end."""
    from imgbatch.errors import ImageError

    for line in requests:
        before, after = json.loads(line)
        try:
            answer = _thumbnails_of(Path(before), Path(after))
        except (ImageError, OSError, MemoryError):
            answer = None
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _thumbnails_of(before: Path, after: Path) -> dict[str, str | int]:
    first, width, height = _thumbnail(before)
    second, _, _ = _thumbnail(after)
    return {"before": first, "after": second, "width": width, "height": height}


def _thumbnail(path: Path) -> tuple[str, int, int]:
    from imgbatch.images.display import for_screen, open_photograph, scaled_pixels, to_jpeg
    from imgbatch.images.limits import Limits

    photograph = open_photograph(path.read_bytes(), Limits())
    screen = for_screen(scaled_pixels(photograph, THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT))
    icc = photograph.icc if len(photograph.icc or b"") <= LARGEST_PROFILE_BYTES else None
    jpeg = to_jpeg(screen, THUMBNAIL_QUALITY, subsampling="420", icc=icc)
    return base64.b64encode(jpeg).decode(), screen.shape[1], screen.shape[0]


if __name__ == "__main__":
    own_output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # which leads to nowhere
    answer_requests(sys.stdin.buffer, own_output)
