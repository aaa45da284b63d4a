"""What a run did, in a few lines on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from imgbatch.batch.model import Status
from imgbatch.batch.report import Report
from imgbatch.recipe import Recipe
from imgbatch.storage.places import ObjectPath
from imgbatch.text import count, duration, size

_LONGEST = 400


def summary_lines(report: Report, command: Sequence[str]) -> list[str]:
    """Return the summary of a run.

    Parameters
    ----------
    command
        The command line without a password, as it was typed, to show how to go on.
    """
    lines = ["Interrupted."] if report.interrupted else []
    if report.failure is not None:
        lines = [f"The run could not go on: {report.failure.sentence}"]
    lines += [_result(report), *_failures(report)]
    if report.recipe == Recipe() and report.count(Status.WRITTEN):
        lines.append(
            "Brightness, contrast and sharpness are 0, so nothing was adjusted; --preset punchy "
            "is a good start."
        )
    if report.saved:
        beside = ".csv and .html beside it" if report.page else ".csv beside it"
        if isinstance(report.target, ObjectPath) and report.failure is None:
            beside += f", and in {report.target}"
        lines.append(f"Report: {report.path} ({beside})")
    if report.page_failure is not None:
        lines.append(report.page_failure.sentence)
    if report.interrupted or (report.failure is not None and report.saved):
        lines.append(f"Continue with: {resume_command(command)}")
    return lines


def resume_command(command: Sequence[str]) -> str:
    """Return the command line that continues the run of a command line."""
    kept = [word for word in command if word not in {"--overwrite", "--resume"}]
    return shlex.join([*kept, "--resume"])


def _result(report: Report) -> str:
    if not report.totals.files and not report.interrupted and report.failure is None:
        return (
            f"No files were found in {report.source}; --include, --exclude, --hidden and "
            "--no-recursive choose which."
        )
    written = report.count(Status.WRITTEN)
    parts = [f"{count(written, 'image')} written to {report.target} in {duration(report.seconds)}"]
    if written:
        totals = report.totals
        parts[0] += f" ({size(totals.bytes_in)} in, {size(totals.bytes_out)} out)"
    for status, word in (
        (Status.FAILED, "failed"),
        (Status.SKIPPED, "skipped (no images, or of formats that are not written)"),
        (Status.NOT_DONE, "not done"),
    ):
        if report.count(status):
            parts.append(f"{report.count(status):,} {word}")
    return "; ".join(parts) + "."


def _failures(report: Report) -> list[str]:
    """Return a line for each code, with the sentence of one file, which says what to do."""
    lines = []
    for example in report.totals.examples:
        number = report.totals.by_code[example.code]
        first = "" if number == 1 else f"{number:,} files, such as "
        # What a bug says can take pages; the report has it whole.
        sentence = " ".join(example.sentence.split())[:_LONGEST]
        lines.append(f"  {example.code}: {first}{sentence}")
    return lines
