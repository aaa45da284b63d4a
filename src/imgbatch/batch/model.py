"""The values a run is made of: a job for each file, an outcome for each job."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imgbatch.errors import Code, ImgbatchError, SkippedFile
from imgbatch.storage.places import Location


class Status(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_DONE = "not-done"


@dataclass(frozen=True, slots=True)
class Job:
    """One file of a run.

    Parameters
    ----------
    index
        Its number in the run, from 0; the run's own name for it, on the wire as well.
    source
        The file that is read.
    target
        The name under which its result appears, complete.
    size_bytes, modified_ns
        What the scan saw of the source.
    mode
        The source's permission bits; 0 for an object.
    wants_thumbnails
        Whether its outcome should bring thumbnails for the report's page.
    may_be_written
        Whether a worker that had begun it is gone, and may have written the result.
    etag
        What the store said of an object's content; empty for a file.
    """

    index: int
    source: Location
    target: Location
    size_bytes: int
    modified_ns: int
    mode: int
    wants_thumbnails: bool = False
    may_be_written: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file was not written: a stable code and a sentence."""

    code: Code
    sentence: str

    @classmethod
    def of(cls, error: ImgbatchError) -> Failure:
        """Return the failure that an exception stands for."""
        return cls(error.code, error.sentence)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job.

    Parameters
    ----------
    index
        The job's.
    status
        Written, failed or skipped.
    failure
        Why not, unless it was written.
    seconds
        Time that a worker spent on the image.
    machine
        The id of the machine whose worker it was; empty if none was.
    width_pixels, height_pixels
        Of the image; 0 where its header was not understood.
    bytes_out
        Size of the file written.
    notes
        Stable codes for what could not be kept.
    attempts
        How many workers began it.
    thumbnails
        The photograph before and after, as small JPEGs; see `imgbatch.batch.thumbnails`.
    """

    index: int
    status: Status
    failure: Failure | None = None
    seconds: float = 0.0
    machine: str = ""
    width_pixels: int = 0
    height_pixels: int = 0
    bytes_out: int = 0
    notes: tuple[str, ...] = ()
    attempts: int = 1
    thumbnails: tuple[bytes, bytes] | None = None

    @classmethod
    def not_written(cls, index: int, error: ImgbatchError, attempts: int = 1) -> Outcome:
        """Return the outcome of a job that ended with an error: skipped, or failed."""
        status = Status.SKIPPED if isinstance(error, SkippedFile) else Status.FAILED
        return cls(index, status, Failure.of(error), attempts=attempts)


@dataclass(frozen=True, slots=True)
class MachineUse:
    """What one machine did in a run, as the report shows it.

    `digest` stands for the bits that it computes: equal digests, equal bits. Empty for this
    machine's own processes, which nothing is compared with.
    """

    id: str
    host: str
    procs: int
    images: int = 0
    busy_seconds: float = 0.0
    digest: str = ""
