"""All that a run is told, and which files that means."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from imgbatch.batch.journal import SUFFIX
from imgbatch.batch.scan import Found, LeftOut, Selection, base_of, scan, scan_names, walk
from imgbatch.errors import Code, UsageError
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe

if TYPE_CHECKING:
    from imgbatch.engines.rabbitmq import RabbitOptions

REPORT_NAME = "imgbatch-report.json"


class Existing(StrEnum):
    """What becomes of files that an earlier run wrote."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run is told.

    Parameters
    ----------
    source
        The input folder, or a single file.
    target
        The output folder; made at need.
    recipe
        What is done to each image.
    selection
        Which of the input's files are taken.
    names
        Gives the names of the files to take instead, anew at each call.
    watch
        Go on with files as they come, until the run is stopped.
    existing
        What becomes of files that an earlier run wrote.
    checksum
        Know files again by content, not by time of modification.
    preserve
        Give results the permissions and times of their sources.
    report
        The report's path; by default `REPORT_NAME` in the output folder.
    html
        Make the page with the gallery as well.
    limits
        What is too large.
    image_timeout_seconds
        How long a worker may take for one image.
    procs
        Worker processes of the local engine; None: one for each usable core.
    rabbit
        Use the machines behind a broker instead.
    """

    source: Path
    target: Path
    recipe: Recipe = field(default_factory=Recipe)
    selection: Selection = field(default_factory=Selection)
    names: Callable[[], Iterable[str]] | None = None
    watch: bool = False
    existing: Existing = Existing.REFUSE
    checksum: bool = False
    preserve: bool = True
    report: Path | None = None
    html: bool = True
    limits: Limits = field(default_factory=Limits)
    image_timeout_seconds: float = 120.0
    procs: int | None = None
    rabbit: RabbitOptions | None = None


def report_path(settings: Settings) -> Path:
    """Return where a run's report goes."""
    return settings.report or settings.target / REPORT_NAME


def check_paths(settings: Settings) -> Settings:
    """Return the settings with absolute paths.

    Raises
    ------
    UsageError
        If the input is missing, or would be its own output.
    """
    source = Path(os.path.abspath(settings.source))  # noqa: PTH100  # keeps links, as they are called
    target = settings.target.resolve()
    report = None if settings.report is None else settings.report.resolve()
    if not source.exists():
        raise UsageError(
            Code.INPUT_MISSING, f"INPUT {settings.source} does not exist; give a folder or a file"
        )
    if base_of(source).resolve() == target:
        raise UsageError(
            Code.SAME_FOLDER,
            f"INPUT and OUTPUT are the same folder, {target}; photographs are never replaced: "
            "choose another OUTPUT",
        )
    if target.exists() and not target.is_dir():
        raise UsageError(Code.OUTPUT_FOLDER_UNWRITABLE, f"OUTPUT {target} is a file; give a folder")
    if report is not None and report.suffix in {".csv", ".html", SUFFIX}:
        raise UsageError(
            Code.BAD_OPTION,
            f"--report {report.name}: give the JSON file; .csv and .html are written beside it",
        )
    return replace(settings, source=source, target=target, report=report)


def found_of(settings: Settings) -> Iterator[Found]:
    """Yield the files of the run as they are found."""
    if settings.names is not None:
        return scan_names(settings.source, settings.names())
    return scan(settings.source, settings.selection, left_out(settings))


def names_of(settings: Settings) -> Iterator[str]:
    """Yield the names of the run's files, without looking at the files."""
    if settings.names is not None:
        return iter(settings.names())
    return (name for name, _ in walk(settings.source, settings.selection, left_out(settings)))


def left_out(settings: Settings) -> LeftOut:
    """Return what may lie below the input and is ours: the output folder and the report."""
    report = report_path(settings)
    suffixes = (".json", ".csv", ".html", SUFFIX, f"{SUFFIX}-wal")
    ours = [report.with_suffix(suffix) for suffix in suffixes]
    return LeftOut([settings.target, report, *ours])
