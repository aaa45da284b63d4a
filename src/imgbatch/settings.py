"""All that a run is told, and which files that means."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from imgbatch.batch.journal import SUFFIX
from imgbatch.batch.objects import known_object, list_found, look_up_names
from imgbatch.batch.scan import Found, LeftOut, Selection, base_of, scan, scan_names, walk
from imgbatch.cores import usable_cores
from imgbatch.errors import Code, UsageError
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe
from imgbatch.storage.places import Location, ObjectPath, location_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from imgbatch.engines.rabbitmq import RabbitOptions

    T = TypeVar("T", bound=DataclassInstance)

REPORT_NAME = "imgbatch-report.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run is told.

    Parameters
    ----------
    source
        The input folder, or a single file; or what is in a store.
    target
        The output folder, made at need; or a place in a store.
    recipe
        What is done to each image.
    selection
        Which of the input's files are taken.
    names
        Gives the names of the files to take instead, from the first, at each call.
    watch
        Go on with files as they come, until the run is stopped.
    overwrite
        Replace what an earlier run wrote.
    resume
        Continue an earlier run. Without either, a run that would replace a file is refused.
    checksum
        Know files again by content, not by time of modification.
    preserve
        Give results the permissions and times of their sources.
    report
        The report's path; by default `REPORT_NAME` in the output folder. Of results in a store,
        in a folder of their name where we are; at the end it is put into the store as well.
    metrics_file
        Where the run's figures are written for Prometheus, if anywhere.
    html
        Make the page with the gallery as well.
    limits
        What is too large.
    image_timeout_seconds
        How long a worker may take for one image.
    procs
        Worker processes of the local engine, of which there are twice as many where photographs lie
        in a store; by default one for each usable core.
    rabbit
        Use the machines behind a broker instead.

    Raises
    ------
    UsageError
        If two of them exclude each other, or a number makes no sense.
    """

    source: Location
    target: Location
    recipe: Recipe = field(default_factory=Recipe)
    selection: Selection = field(default_factory=Selection)
    names: Callable[[], Iterable[str]] | None = None
    watch: bool = False
    overwrite: bool = False
    resume: bool = False
    checksum: bool = False
    preserve: bool = True
    report: Path | None = None
    metrics_file: Path | None = None
    html: bool = True
    limits: Limits = field(default_factory=Limits)
    image_timeout_seconds: float = 120.0
    procs: int = field(default_factory=usable_cores)
    rabbit: RabbitOptions | None = None

    def __post_init__(self) -> None:
        if self.overwrite and self.resume:
            exclude("--overwrite", "--resume")
        if self.watch and self.names is not None:
            exclude("--watch", "--files-from")
        for name, number in {"procs": self.procs, **asdict(self.limits)}.items():
            if type(number) is not int or number < 1:
                sentence = f"{name} must be an integer from 1, not {number!r}"
                raise UsageError(Code.BAD_OPTION, sentence)
        seconds = self.image_timeout_seconds
        if not isinstance(seconds, int | float) or not seconds > 0:
            sentence = f"image_timeout_seconds must be a number above 0, not {seconds!r}"
            raise UsageError(Code.BAD_OPTION, sentence)


def exclude(one: str, other: str) -> NoReturn:
    """Raise `UsageError`, since two options exclude each other."""
    raise UsageError(
        Code.BAD_OPTION, f"{one} and {other} exclude each other; leave one of them out"
    )


def settings_from(values: dict[str, Any]) -> Settings:
    """Return the settings with these values, of which only those are left that no field takes.

    Parameters
    ----------
    values
        By the name of the field, wherever that is: ``source`` is `Settings.source`, ``contrast``
        is `Settings.recipe.adjustment.contrast`, ``machines`` is `Settings.rabbit.machines`.
        Whatever is not there has its default.
    """
    for name in values.keys() & {"source", "target"}:
        values[name] = location_of(values[name])
    for name in values.keys() & {"report", "metrics_file"}:
        values[name] = Path(values[name])
    if values.get("broker"):
        from imgbatch.engines.rabbitmq import RabbitOptions

        values["rabbit"] = filled(RabbitOptions, values)
    return filled(Settings, values)


def filled(kind: type[T], values: dict[str, Any]) -> T:
    """Return a dataclass made of those values that are called like its fields; take them out.

    A field that is a dataclass by default is filled from the same values, unless it is one of them.
    """
    chosen = {}
    for it in fields(kind):
        part: Any = it.default_factory
        if it.name in values:
            chosen[it.name] = values.pop(it.name)
        elif isinstance(part, type) and is_dataclass(part):
            chosen[it.name] = filled(part, values)
    return kind(**chosen)


def report_path(settings: Settings) -> Path:
    """Return where a run's report goes, and its journal."""
    if settings.report is not None:
        return settings.report
    if isinstance(settings.target, Path):
        return settings.target / REPORT_NAME
    place = str(settings.target).partition("://")[2].replace("/", "-")
    return Path.cwd() / f"imgbatch-report-{place}" / REPORT_NAME


def check_paths(settings: Settings) -> Settings:
    """Return the settings with absolute paths.

    Raises
    ------
    UsageError
        If the input is missing, or would be its own output.
    EngineError
        If a store can't be reached, or refuses.
    """
    source: Location | None
    if isinstance(settings.source, ObjectPath):
        # To be watched, a place may still be empty.
        source = known_object(settings.source) or (settings.source if settings.watch else None)
    else:
        source = Path(os.path.abspath(settings.source))  # noqa: PTH100  # keeps links, as called
        source = source if source.exists() else None
    target = settings.target.resolve()
    report = None if settings.report is None else settings.report.resolve()
    if source is None:
        raise UsageError(
            Code.INPUT_MISSING, f"INPUT {settings.source} does not exist; give a folder or a file"
        )
    if base_of(source).resolve() == target:
        raise UsageError(
            Code.SAME_FOLDER,
            f"INPUT and OUTPUT are the same folder, {target}; photographs are never replaced: "
            "choose another OUTPUT",
        )
    if isinstance(target, Path) and target.exists() and not target.is_dir():
        raise UsageError(Code.OUTPUT_FOLDER_UNWRITABLE, f"OUTPUT {target} is a file; give a folder")
    if report is not None and report.suffix in {".csv", ".html", SUFFIX}:
        raise UsageError(
            Code.BAD_OPTION,
            f"--report {report.name}: give the JSON file; .csv and .html are written beside it",
        )
    return replace(settings, source=source, target=target, report=report)


def found_of(settings: Settings) -> Iterator[Found]:
    """Yield the files of the run as they are found."""
    source = settings.source
    if settings.names is not None:
        names = settings.names()
        if isinstance(source, ObjectPath):
            return look_up_names(source, names)
        return scan_names(source, names)
    if isinstance(source, ObjectPath):
        return list_found(source, settings.selection, settings.target)
    return scan(source, settings.selection, left_out(settings))


def names_of(settings: Settings) -> Iterator[str]:
    """Yield the names of the run's files, without looking at the files."""
    if settings.names is not None:
        return iter(settings.names())
    if isinstance(settings.source, ObjectPath):
        return (found.name for found in found_of(settings))
    return (name for name, _ in walk(settings.source, settings.selection, left_out(settings)))


def left_out(settings: Settings) -> LeftOut:
    """Return what may lie below the input and is ours: the output folder and the report."""
    report = report_path(settings)
    suffixes = (".json", ".csv", ".html", SUFFIX, f"{SUFFIX}-wal")
    ours = [report.with_suffix(suffix) for suffix in suffixes]
    others = (settings.metrics_file, settings.target)
    return LeftOut([report, *ours, *(it for it in others if isinstance(it, Path))])
