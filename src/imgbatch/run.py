"""A run from its settings to its report: scan, journal, engine and report put together."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgbatch.adjustment import Adjustment
from imgbatch.batch.journal import SUFFIX, Journal
from imgbatch.batch.journal_tables import Totals
from imgbatch.batch.model import Failure, Job, MachineUse, Outcome
from imgbatch.batch.names import Naming, folds_names, refuse_collisions, refuse_existing
from imgbatch.batch.objects import Inventory, put_files
from imgbatch.batch.objects import watch as watch_store
from imgbatch.batch.plan import Planner
from imgbatch.batch.report import Report
from imgbatch.batch.scan import Found, base_of
from imgbatch.batch.tally import Tally
from imgbatch.batch.write import OutputPolicy
from imgbatch.engines.base import Engine, Stop
from imgbatch.errors import (
    Code,
    EngineError,
    FileError,
    ImgbatchError,
    OutputError,
)
from imgbatch.settings import (
    Settings,
    check_paths,
    found_of,
    left_out,
    names_of,
    report_path,
    settings_from,
)
from imgbatch.storage import store
from imgbatch.storage.places import Location, ObjectPath
from imgbatch.storage.store import objects_below
from imgbatch.text import os_reason
from imgbatch.version import __version__

if TYPE_CHECKING:
    from imgbatch.workers.forkserver import ForkServer

log = logging.getLogger(__name__)

_LAST_SCAN_SECONDS = 3.0


def run_batch(
    input: str | os.PathLike[str],  # noqa: A002  # as the report and the command line call it
    output: str | os.PathLike[str],
    adjustment: Adjustment | None = None,
    **options: Any,
) -> Report:
    """Adjust every image of a folder, or a single one, into another folder.

    Parameters
    ----------
    input
        The folder, or file, that is read; or a URL of what is in a store, like s3://bucket/photos.
    output
        The folder that is written, made at need; or the URL of a place in a store.
    adjustment
        What is done to the pixels; nothing by default.
    **options
        Everything else that a run can be told, by the name of its field: those of
        `imgbatch.settings.Settings` (``overwrite``, ``resume``, ``report``, ``procs``, ``html``,
        ...), of `Selection` (``include``, ``exclude``, ...), `Encoding` (``quality``, ...; or
        ``encoding`` as a whole), `Limits` (``max_pixels``, ...; or ``limits``) and
        `RabbitOptions` (``broker``, ``machines``, ``timeout_seconds``, ...; without ``broker``,
        this machine computes), which also say their types. None stands for the default.

    Returns
    -------
    Report
        The run's figures. A file that could not be processed is counted there, and listed with
        the reason in the report on the disk; it is no exception.

    Raises
    ------
    UsageError
        If the run makes no sense, or would replace files.
    EngineError
        If the run could not go on; the report on the disk says how far it came.
    TypeError
        If there is no such option, or `adjustment`, ``encoding`` or ``limits`` is given as a
        whole and in part.
    """
    values = options | {"source": input, "target": output, "adjustment": adjustment}
    values = {name: value for name, value in values.items() if value is not None}
    settings = settings_from(values)
    if values:
        message = (
            f"run_batch() can't take {min(values)!r}: there is no such option, or only with "
            "broker, or it is part of another that is given"
        )
        raise TypeError(message)
    finished = execute(settings, Tally(), Stop())
    if finished.failure is not None:
        raise EngineError(finished.failure.code, finished.failure.sentence)
    return finished


def execute(
    settings: Settings, tally: Tally, stop: Stop, ahead: ForkServer | None = None
) -> Report:
    """Carry a run out and write its report, whatever happens on the way.

    Parameters
    ----------
    tally
        Is kept up to date while the run goes on.
    stop
        Ends the run early.
    ahead
        What starts worker processes, itself started already, for a run on this machine.

    Raises
    ------
    UsageError, OutputError
        If the run can't begin; nothing was written then.
    """
    store.on_waiting = lambda why: setattr(tally, "waiting", why or None)
    settings = check_paths(settings)
    engine = _engine(settings, ahead)
    target = settings.target
    above = (target, *target.parents) if isinstance(target, Path) else ()
    made = [path for path in above if not path.exists()]
    try:
        naming = Naming(settings.recipe.encoding.output_format, _make_folder(target))
        output = Inventory(target)
        _refuse(settings, output, naming)
        journal = _open_journal(settings)
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise
    try:
        return _Run(settings, journal, output, naming, tally, stop).carry_out(engine)
    finally:
        journal.close()


def planned_files(settings: Settings) -> Iterator[tuple[Found, str]]:
    """Yield what a run would do, as `--dry-run` shows it: each file, and its output name.

    Raises
    ------
    UsageError
        If the run makes no sense, or would be refused.
    """
    settings = check_paths(settings)
    naming = Naming(settings.recipe.encoding.output_format)
    _refuse(settings, Inventory(settings.target), naming)
    for found in found_of(settings):
        yield found, naming.target(found.name)


@dataclass(eq=False)
class _Run:
    """One run under way; the engine's listener."""

    settings: Settings
    journal: Journal
    output: Inventory
    naming: Naming
    tally: Tally
    stop: Stop

    def __post_init__(self) -> None:
        settings, journal = self.settings, self.journal
        self.started = datetime.now(UTC)
        self.began = time.monotonic()
        found: Iterator[Found | None] = found_of(settings)
        source, selection = settings.source, settings.selection
        if settings.watch and isinstance(source, Path):
            from imgbatch.batch.watch import watch

            found = watch(source, selection, left_out(settings), journal.knows)
        elif settings.watch and isinstance(source, ObjectPath):
            found = watch_store(source, selection, settings.target, journal.knows)
        self.planner = Planner(
            journal,
            found,
            base_of(source),
            self.output,
            self.naming,
            self.tally,
            checksum=settings.checksum,
            guard=settings.resume or (settings.watch and not settings.overwrite),
            thumbnails=settings.html,
        )

    def carry_out(self, engine: Engine) -> Report:
        self.planner.start()
        # While workers start, this costs a short run 8 ms; at its end it would be 40.
        threading.Thread(target=self._prepare_report, name="imgbatch-page", daemon=True).start()
        failure = None
        try:
            engine.run(self.planner, self.settings.recipe, self, self.stop)
        except ImgbatchError as error:
            failure = Failure.of(error)
        except KeyboardInterrupt:
            self.stop.now.set()
            raise
        finally:
            stopped = self.stop.gently.is_set() or self.stop.now.is_set()
            complete = self.planner.finish(0.0 if self.settings.watch else _LAST_SCAN_SECONDS)
            # To watch on is nothing that is left to do.
            is_open = self.tally.done_files < self.tally.planned_files or not (
                complete or self.settings.watch
            )
            report = self._report(engine.name, failure, interrupted=stopped and is_open)
        return _copied_to_store(report)

    def _prepare_report(self) -> None:
        import msgspec.json  # noqa: F401

        if self.settings.html:
            from imgbatch.batch.page.view import page_template

            page_template()

    def finished(self, outcome: Outcome) -> None:
        """Record an outcome; see `imgbatch.engines.base.Listener`."""
        job = self.planner.forget(outcome.index)
        if job is None:
            return
        if outcome.failure is not None:
            outcome = replace(outcome, failure=_named(outcome.failure, job))
        if self.journal.finish(outcome, time.monotonic() - self.began):
            _log_outcome(outcome, job, self.tally.batch)
            self.tally.end(outcome.status, job.size_bytes, outcome.bytes_out, earlier=False)

    def waiting(self, why: str | None) -> None:
        """Show why nothing moves."""
        self.tally.waiting = why
        if why is not None:
            log.info("%s", why)

    def machines(self, machines: Sequence[MachineUse]) -> None:
        """Record who takes part."""
        self.tally.machines = tuple(machines)
        self.journal.note_machines(machines)

    def _report(self, engine: str, failure: Failure | None, *, interrupted: bool) -> Report:
        """Write report and figures; return it with what kept it from being written, if any did."""
        settings = self.settings
        report = self._written(
            Report(
                path=report_path(settings),
                source=settings.source,
                target=settings.target,
                recipe=settings.recipe,
                engine=engine,
                version=__version__,
                started=self.started.isoformat(timespec="seconds"),
                seconds=time.monotonic() - self.began,
                interrupted=interrupted,
                failure=failure,
                totals=Totals(self.tally.ended),
            )
        )
        if settings.metrics_file is None:
            return report
        from imgbatch.batch.metrics import write_metrics

        try:
            write_metrics(settings.metrics_file, report, self.journal.files())
        except EngineError as error:
            return replace(report, failure=report.failure or Failure.of(error))
        return report

    def _written(self, report: Report) -> Report:
        try:
            report = replace(report, totals=self.journal.totals())
            report.write(self.journal.files())
            if not self.settings.html or self.stop.now.is_set():
                return report
            from imgbatch.batch.page.view import write_page

            return write_page(report, self.journal)
        except EngineError as error:
            return replace(report, failure=report.failure or Failure.of(error), saved=False)


def _log_outcome(outcome: Outcome, job: Job, batch: str) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    sentence = outcome.failure.sentence if outcome.failure else f"{job.source}: {outcome.status}"
    fields: dict[str, object] = {
        "batch": batch,
        "job": outcome.index,
        "file": str(job.source),
        "machine": outcome.machine,
        "status": str(outcome.status),
        "code": str(outcome.failure.code) if outcome.failure else "",
        "seconds": round(outcome.seconds, 4),
    }
    log.info("%s", sentence, extra=fields)


def _copied_to_store(report: Report) -> Report:
    """Put the report beside results in a store; return it with why not, if it can't be."""
    if isinstance(report.target, Path) or report.failure is not None or not report.saved:
        return report
    try:
        put_files(report.files_beside, report.target)
    except (EngineError, FileError) as error:
        return replace(report, failure=Failure.of(error))
    return report


def _named(failure: Failure, job: Job) -> Failure:
    """Return a failure whose sentence names the file; codecs only know its bytes."""
    if str(job.source) in failure.sentence or str(job.target) in failure.sentence:
        return failure
    return Failure(failure.code, f"{job.source}: {failure.sentence}")


def _refuse(settings: Settings, output: Inventory, naming: Naming) -> None:
    """Raise UsageError if results would stand in each other's way, or in that of files."""
    refuse_collisions(lambda: names_of(settings), base_of(settings.source), naming)
    if not (settings.overwrite or settings.resume or output.is_empty()):
        refuse_existing(names_of(settings), output, naming)


def _open_journal(settings: Settings) -> Journal:
    path = report_path(settings).with_suffix(SUFFIX)
    about = {
        "input": str(settings.source),
        "output": str(settings.target),
        "recipe": settings.recipe.to_fields(),
        "imgbatch": __version__,
    }
    if settings.resume:
        return Journal.resume(path, about)
    if not settings.overwrite:
        Journal.refuse_if_of_use(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return Journal.create(path, about)


def _make_folder(folder: Location) -> bool:
    """Make the output folder; return what `folds_names` says of it."""
    if isinstance(folder, ObjectPath):
        next(objects_below(folder), None)  # refuses if the store does
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folds_names(folder)
    except OSError as error:
        sentence = f"the output folder {folder} can't be written: {os_reason(error)}"
        raise OutputError(Code.OUTPUT_FOLDER_UNWRITABLE, sentence) from error


def _engine(settings: Settings, ahead: ForkServer | None) -> Engine:
    # What stands in the way was checked before the run, or is, file by file, as it is planned.
    overwrite = settings.overwrite or settings.resume or settings.watch
    folder = settings.target if isinstance(settings.target, Path) else None
    policy = OutputPolicy(settings.preserve, overwrite, folder)
    if settings.rabbit is not None:
        from imgbatch.engines.rabbitmq import RabbitEngine

        places = base_of(settings.source), settings.target
        return RabbitEngine(settings.rabbit, settings.limits, policy, *places)
    from imgbatch.engines.local.engine import LocalEngine

    # While some wait for a store, others compute.
    in_store = folder is None or isinstance(settings.source, ObjectPath)
    return LocalEngine(
        2 * settings.procs if in_store else settings.procs,
        settings.limits,
        policy,
        settings.image_timeout_seconds,
        server=ahead,
        thumbnails=settings.html,
    )
